// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.util.Deque;
import reverie.autograd.nn.Context;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/** One level on the way up; joins what the way down remembered, last first. */
final class UpBlock {
  private final Layers layers;
  private final ResnetBlock resnetUpsample;
  private final Conv2d convUpsample;

  /**
   * One per level.
   *
   * @param index of the block, counted from the lowest resolution as in the file
   * @param below channels that come from the block before
   */
  UpBlock(Parameters p, UNetConfig config, int index, int below) {
    int level = config.levels() - 1 - index;
    int out = config.blockOutChannels().get(level);
    int lastSkip = config.blockOutChannels().get(Math.max(level - 1, 0));
    Layers.Kind kind =
        Layers.Kind.of("up_block_types", config.upBlockTypes().get(index), "UpBlock2D");
    layers = new Layers(p, config, kind, level);
    int last = config.layersPerBlock().get(level);
    for (int i = 0; i <= last; i++) {
      layers.add((i == 0 ? below : out) + (i == last ? lastSkip : out), out);
    }
    boolean resnet = kind == Layers.Kind.ATTENTION && config.resnetUpsample();
    Parameters at = p.at("upsamplers", 0);
    resnetUpsample =
        level > 0 && resnet
            ? new ResnetBlock(
                at, ResnetBlock.Options.of(config), out, out, 1, x -> Ops.upsampleNearest(x, 2))
            : null;
    convUpsample = level > 0 && !resnet ? new Conv2d(at.at("conv"), out, out, 3, 1, 1) : null;
  }

  Tensor forward(Tensor x, Tensor embedding, Context context, Deque<Tensor> skips) {
    Tensor y = x;
    for (int i = 0; i < layers.size(); i++) {
      Tensor joined = Ops.concat(3, y, Ops.repeat(skips.pop(), y.dim(0)));
      y = layers.forward(i, joined, embedding, context);
    }
    if (resnetUpsample != null) {
      return resnetUpsample.forward(y, embedding);
    }
    if (convUpsample == null) {
      return y;
    }
    return convUpsample.forward(cropped(Ops.upsampleNearest(y, 2), skips.element()));
  }

  /** A side of odd length was rounded up on the way down. */
  private static Tensor cropped(Tensor x, Tensor like) {
    int h = like.dim(1);
    int w = like.dim(2);
    if (h == x.dim(1) && w == x.dim(2)) {
      return x;
    }
    if (h > x.dim(1) || w > x.dim(2)) {
      throw new ReverieException(
          "unet: expected sides that halve at every level, got " + h + " by " + w + " at one",
          "use a sample size that is a multiple of 2 to the number of levels less one");
    }
    return x.slice(1, 0, h).slice(2, 0, w);
  }
}
