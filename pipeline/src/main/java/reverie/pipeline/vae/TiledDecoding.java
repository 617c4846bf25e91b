// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.vae;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Decodes an image in overlapping tiles that are faded into each other, as diffusers' {@code
 * tiled_decode}: memory is that of one tile, whatever the image. Not quite what the whole would
 * give, because no tile sees the others.
 *
 * @param decoder of latents {@code [1, h, w, c]}
 * @param tile rows and columns of a tile's latents
 * @param reduction pixels of an image beside one of a latent
 */
record TiledDecoding(UnaryOperator<Tensor> decoder, int tile, int reduction) {
  /** Share of a tile that the next one lies over. */
  private static final double OVERLAP = 0.25;

  /** Whether latents are so large that tiles are worth it. */
  boolean suits(Tensor latents) {
    return Math.max(latents.dim(1), latents.dim(2)) > tile + tile / 2;
  }

  /** The image {@code [1, reduction·h, reduction·w, channels]} of latents {@code [1, h, w, c]}. */
  Tensor decode(Tensor latents) {
    int step = Math.max(1, (int) (tile * (1 - OVERLAP)));
    int side = tile * reduction;
    int fade = (int) (side * OVERLAP);
    int kept = side - fade;
    List<Tensor> above = List.of();
    List<Tensor> rows = new ArrayList<>();
    for (int y = 0; y < latents.dim(1); y += step) {
      Tensor band = latents.slice(1, y, Math.min(y + tile, latents.dim(1)));
      List<Tensor> row = new ArrayList<>();
      for (int x = 0; x < latents.dim(2); x += step) {
        Tensor part = band.slice(2, x, Math.min(x + tile, latents.dim(2)));
        Tensor drawn;
        try (Scope scope = Scope.open("tile")) {
          drawn = decoder.apply(part);
          drawn = above.isEmpty() ? drawn : faded(1, above.get(row.size()), drawn, fade);
          drawn = row.isEmpty() ? drawn : faded(2, row.getLast(), drawn, fade);
          drawn = scope.keep(drawn.contiguous());
        }
        row.add(drawn);
      }
      Tensor[] cut = row.stream().map(t -> cut(t, kept)).toArray(Tensor[]::new);
      rows.add(Ops.concat(2, cut));
      above = row;
    }
    return Ops.concat(1, rows.toArray(Tensor[]::new))
        .slice(1, 0, latents.dim(1) * reduction)
        .slice(2, 0, latents.dim(2) * reduction);
  }

  private static Tensor cut(Tensor tile, int kept) {
    return tile.slice(1, 0, Math.min(kept, tile.dim(1))).slice(2, 0, Math.min(kept, tile.dim(2)));
  }

  /** The tile after another, whose end goes over into its beginning. */
  private static Tensor faded(int axis, Tensor before, Tensor after, int fade) {
    int length = Math.min(fade, Math.min(before.dim(axis), after.dim(axis)));
    float[] share = new float[length];
    for (int i = 0; i < length; i++) {
      share[i] = (float) i / length;
    }
    int[] dims = {1, 1, 1, 1};
    dims[axis] = length;
    Tensor ramp = after.device().tensor(share, dims);
    Tensor end = before.slice(axis, before.dim(axis) - length, before.dim(axis));
    Tensor start = after.slice(axis, 0, length);
    Tensor mixed = end.add(start.sub(end).mul(ramp));
    return Ops.concat(axis, mixed, after.slice(axis, length, after.dim(axis)));
  }
}
