// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.simd.Vectors.BYTES;

import reverie.tensor.cpu.kernel.GemmShape;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;

/**
 * Batched matrix products C = A·B (+ bias) of float32 matrices with any row and column strides, so
 * transposed views cost nothing but packing.
 *
 * <p>Every element of C is summed by one thread in an order that depends on k alone.
 */
final class Gemm {
  /** Tasks that there should be, so that threads end at about the same time. */
  static final int TARGET_TASKS = 32;

  /** Tiles in one task: rows of A that stay in the second-level cache. */
  private static final int MAX_TILES = 16;

  private Gemm() {}

  /**
   * One product for each address, plus bias, the address of n numbers added to every row, or 0; B's
   * panels are packed once for each different B that follows another.
   */
  static void multiply(
      Parallel parallel, GemmShape shape, long[] a, long[] b, long bias, long[] c) {
    if (shape.m() == 0 || shape.n() == 0 || a.length == 0) {
      return;
    }
    if (a.length == 1) {
      single(parallel, shape, a[0], b[0], bias, c[0]);
    } else {
      batched(parallel, shape, a, b, bias, c);
    }
  }

  private static void single(
      Parallel parallel, GemmShape shape, long a, long b, long bias, long c) {
    try (Scratch scratch = Scratch.frame()) {
      Right right = right(scratch, shape, b);
      if (right.address() != b) {
        int panels = Right.panels(shape.n());
        int rows = Math.max(1, 1 << 14 >> 5);
        int parts = (shape.k() + rows - 1) / rows;
        parallel.parallelFor(
            panels * parts,
            i -> {
              int panel = i / parts;
              int first = i % parts * rows;
              right.pack(
                  panel,
                  b + 4 * first * shape.bRow(),
                  4 * shape.bRow(),
                  4 * shape.bColumn(),
                  first,
                  Math.min(rows, shape.k() - first),
                  shape.n());
            });
      }
      Result result = new Result(c, 4L * shape.n(), bias, shape.m(), shape.n());
      blocks(
          parallel,
          result,
          (tile, end, panel, panelEnd, spare) -> {
            Left left =
                Left.matrix(
                    Scratch.current(),
                    a,
                    4 * shape.aRow(),
                    4 * shape.aColumn(),
                    shape.m(),
                    shape.k(),
                    right.step());
            result.compute(left, right, tile, end, panel, panelEnd, spare);
          });
    }
  }

  private static void batched(
      Parallel parallel, GemmShape shape, long[] a, long[] b, long bias, long[] c) {
    parallel.parallelFor(
        a.length,
        i -> {
          try (Scratch scratch = Scratch.frame()) {
            one(scratch, shape, a[i], b[i], bias, c[i]);
          }
        });
  }

  /** A product in the calling thread alone. */
  static void one(Scratch scratch, GemmShape shape, long a, long b, long bias, long c) {
    Right right = right(scratch, shape, b);
    int panels = Right.panels(shape.n());
    for (int p = 0; right.address() != b && p < panels; p++) {
      right.pack(p, b, 4 * shape.bRow(), 4 * shape.bColumn(), 0, shape.k(), shape.n());
    }
    Result result = new Result(c, 4L * shape.n(), bias, shape.m(), shape.n());
    Left left =
        Left.matrix(
            scratch, a, 4 * shape.aRow(), 4 * shape.aColumn(), shape.m(), shape.k(), right.step());
    result.compute(
        left, right, 0, result.tiles(), 0, panels, scratch.bytes(2 * BYTES * MicroKernel.ROWS));
  }

  private static Right right(Scratch scratch, GemmShape shape, long b) {
    return Right.inPlace(4 * shape.bRow(), 4 * shape.bColumn(), shape.n())
        ? Right.inPlace(b, 4 * shape.bRow())
        : Right.packed(scratch.bytes(Right.packedBytes(shape.k(), shape.n())), shape.k());
  }

  /** A task: some tiles of rows times some panels of columns. */
  interface Block {
    void run(int firstTile, int endTile, int firstPanel, int endPanel, long spare);
  }

  /** Cuts C into tasks and shares them out. */
  static void blocks(Parallel parallel, Result result, Block block) {
    int tiles = result.tiles();
    int panels = Right.panels(result.n());
    int height = Math.clamp(tiles / TARGET_TASKS, 1, MAX_TILES);
    int rows = (tiles + height - 1) / height;
    int width =
        rows >= TARGET_TASKS ? panels : Math.clamp((long) panels * rows / TARGET_TASKS, 1, panels);
    int columns = (panels + width - 1) / width;
    parallel.parallelFor(
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
                scratch.bytes(2 * BYTES * MicroKernel.ROWS));
          }
        });
  }
}
