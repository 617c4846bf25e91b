// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.simd.Vectors.BYTES;

import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;

/**
 * Batched matrix products C = A·B (+ bias) of float32 matrices with any row and column strides, so
 * transposed views cost nothing but packing.
 *
 * <p>Every element of C is summed by one thread in an order that depends on k alone.
 */
public final class Gemm {
  /** Tiles in one piece of work: rows of A that stay in the second-level cache. */
  private static final int MOST_TILES = 16;

  private Gemm() {}

  /**
   * Strides of one product.
   *
   * @param bias address of n numbers added to every row, or 0
   */
  public record Form(
      int m,
      int n,
      int k,
      long aRow,
      long aColumn,
      long bRow,
      long bColumn,
      long cRow,
      long bias) {}

  /**
   * One product for each address; B's panels are packed once for each different B that follows
   * another.
   */
  public static void multiply(Parallel parallel, Form form, long[] a, long[] b, long[] c) {
    if (form.m == 0 || form.n == 0 || a.length == 0) {
      return;
    }
    if (a.length == 1) {
      single(parallel, form, a[0], b[0], c[0]);
    } else {
      batched(parallel, form, a, b, c);
    }
  }

  private static void single(Parallel parallel, Form form, long a, long b, long c) {
    try (Scratch scratch = Scratch.frame()) {
      Right right = right(scratch, form, b);
      if (right.address() != b) {
        int panels = Right.panels(form.n);
        int rows = Math.max(1, 1 << 14 >> 5);
        int parts = (form.k + rows - 1) / rows;
        parallel.forEach(
            panels * parts,
            i -> {
              int panel = i / parts;
              int first = i % parts * rows;
              right.pack(
                  panel,
                  b + first * form.bRow,
                  form.bRow,
                  form.bColumn,
                  first,
                  Math.min(rows, form.k - first),
                  form.n);
            });
      }
      Result result = new Result(c, form.cRow, form.bias, form.m, form.n);
      blocks(
          parallel,
          result,
          (tile, end, panel, panelEnd, spare) -> {
            Left left =
                Left.matrix(
                    Scratch.current(), a, form.aRow, form.aColumn, form.m, form.k, right.step());
            result.compute(left, right, tile, end, panel, panelEnd, spare);
          });
    }
  }

  private static void batched(Parallel parallel, Form form, long[] a, long[] b, long[] c) {
    parallel.forEach(
        a.length,
        i -> {
          try (Scratch scratch = Scratch.frame()) {
            one(scratch, form, a[i], b[i], c[i]);
          }
        });
  }

  /** A product in the calling thread alone. */
  public static void one(Scratch scratch, Form form, long a, long b, long c) {
    Right right = right(scratch, form, b);
    int panels = Right.panels(form.n);
    for (int p = 0; right.address() != b && p < panels; p++) {
      right.pack(p, b, form.bRow, form.bColumn, 0, form.k, form.n);
    }
    Result result = new Result(c, form.cRow, form.bias, form.m, form.n);
    Left left = Left.matrix(scratch, a, form.aRow, form.aColumn, form.m, form.k, right.step());
    result.compute(left, right, 0, result.tiles(), 0, panels, scratch.bytes(2 * BYTES * Tile.ROWS));
  }

  private static Right right(Scratch scratch, Form form, long b) {
    return Right.inPlace(form.bRow, form.bColumn, form.n)
        ? Right.inPlace(b, form.bRow)
        : Right.packed(scratch.bytes(Right.packedBytes(form.k, form.n)), form.k);
  }

  /** A piece of work: some tiles of rows times some panels of columns. */
  public interface Block {
    void run(int firstTile, int endTile, int firstPanel, int endPanel, long spare);
  }

  /** Cuts C into pieces and shares them out. The cut has no influence on the result. */
  public static void blocks(Parallel parallel, Result result, Block block) {
    int tiles = result.tiles();
    int panels = Right.panels(result.n());
    int wanted = 4 * parallel.threads();
    int height = Math.clamp(tiles / wanted, 1, MOST_TILES);
    int rows = (tiles + height - 1) / height;
    int width = rows >= wanted ? panels : Math.clamp((long) panels * rows / wanted, 1, panels);
    int columns = (panels + width - 1) / width;
    parallel.forEach(
        rows * columns,
        i -> {
          try (Scratch scratch = Scratch.frame()) {
            int tile = i / columns * height;
            int panel = i % columns * width;
            block.run(
                tile,
                Math.min(tiles, tile + height),
                panel,
                Math.min(panels, panel + width),
                scratch.bytes(2 * BYTES * Tile.ROWS));
          }
        });
  }
}
