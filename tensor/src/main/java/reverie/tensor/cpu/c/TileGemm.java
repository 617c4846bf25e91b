// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import reverie.tensor.cpu.c.NativeMatrices.Rows;
import reverie.tensor.cpu.c.NativeMatrices.Sums;
import reverie.tensor.cpu.kernel.GemmShape;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;

/** Matrix products on the tile unit, of factors split into bfloat16 terms: {@code amx.c}. */
final class TileGemm {
  /** Floats of B that are worth a task of packing. */
  private static final int PACKED_FLOATS = 1 << 16;

  /** Steps of k for which B is split at a time where k is long. */
  private static final int DEPTH = 512;

  private static final int MAX_ROWS = 256;
  private static final int MAX_TASKS = 16;

  private static final long MIN_FLOPS = 4_000_000;

  private final TileKernels kernels;
  private final PartialSums partialSums;
  private final boolean exact;

  /** With {@code exact} what would be less exact here than float32 is left to vectors. */
  TileGemm(TileKernels kernels, PartialSums partialSums, boolean exact) {
    this.kernels = kernels;
    this.partialSums = partialSums;
    this.exact = exact;
  }

  /** Whether a product can be computed here, faster than by vectors. */
  boolean fits(GemmShape f, Precision precision) {
    boolean strides = (f.aRow() == 1 || f.aColumn() == 1) && (f.bRow() == 1 || f.bColumn() == 1);
    return strides
        && !(exact && precision == Precision.BF16X2)
        && f.flops() >= MIN_FLOPS
        && Math.min(Math.min(f.m(), f.n()), f.k()) >= precision.minSide()
        && (long) f.m() * f.n() >= precision.minArea();
  }

  /**
   * One product.
   *
   * @param bias address of n numbers added to every row, or 0
   * @param add address of m·n numbers added to the result, or 0
   */
  void multiply(
      Parallel parallel,
      GemmShape f,
      Precision precision,
      long a,
      long b,
      long c,
      long bias,
      long add) {
    try (Scratch scratch = Scratch.frame()) {
      if (f.aColumn() != 1 && f.bColumn() == 1 && f.m() > f.n() && bias == 0 && add == 0) {
        // To split columns of the left factor costs a transpose, so let it be the narrower one.
        GemmShape other =
            new GemmShape(f.n(), f.m(), f.k(), f.bColumn(), f.bRow(), f.aColumn(), f.aRow());
        long transposed = scratch.floats((long) f.m() * f.n());
        product(parallel, other, precision, b, a, transposed, 0, 0);
        partialSums.transpose(parallel, transposed, f.n(), f.m(), c);
      } else {
        product(parallel, f, precision, a, b, c, bias, add);
      }
    }
  }

  private void product(
      Parallel parallel,
      GemmShape f,
      Precision precision,
      long a,
      long b,
      long c,
      long bias,
      long add) {
    if (f.k() > 2 * DEPTH) {
      splitSum(parallel, f, precision, a, b, c, bias, add);
      return;
    }
    Rows rows = rows(parallel, f, precision, b);
    parallel.parallelFor(
        tasks(f.m(), MAX_ROWS),
        i -> {
          long first = (long) i * MAX_ROWS;
          long count = Math.min(MAX_ROWS, f.m() - first);
          long at = 4 * first * f.n();
          rows.compute(a + 4 * first * f.aRow(), count, c + at, bias, add == 0 ? 0 : add + at);
        });
  }

  /** Splits the right factor, into working memory of the caller. */
  Rows rows(Parallel parallel, GemmShape f, Precision precision, long b) {
    long right = Scratch.current().bytes(precision.bytes(f.k(), f.n()));
    int columns =
        Math.max(Precision.BLOCK, PACKED_FLOATS / f.k() / Precision.BLOCK * Precision.BLOCK);
    parallel.parallelFor(
        tasks(f.n(), columns),
        i -> pack(f, precision, b, f.k(), (long) i * columns, (i + 1L) * columns, right));
    return (a, count, c, bias, add) -> call(f, precision, a, right, c, count, f.k(), bias, add);
  }

  /** Blocks of rows times splits of the sum. */
  private void splitSum(
      Parallel parallel,
      GemmShape f,
      Precision precision,
      long a,
      long b,
      long c,
      long bias,
      long add) {
    int blocks = tasks(f.m(), MAX_ROWS);
    int splits = Math.clamp(f.k() / DEPTH, 1, Math.max(1, MAX_TASKS / blocks));
    long size = (long) f.m() * f.n();
    long parts = splits == 1 ? c : Scratch.current().floats(size * splits);
    parallel.parallelFor(
        blocks * splits,
        i -> {
          int split = i / blocks;
          long first = (long) (i % blocks) * MAX_ROWS;
          long rows = Math.min(MAX_ROWS, f.m() - first);
          long from = (long) split * f.k() / splits;
          long end = (split + 1L) * f.k() / splits;
          long at = 4 * first * f.n();
          long to = parts + 4 * split * size + at;
          long begins = add == 0 || split > 0 ? 0 : add + at;
          for (long p = from; p < end; p += DEPTH) {
            long depth = Math.min(DEPTH, end - p);
            long left = a + 4 * (first * f.aRow() + p * f.aColumn());
            long right = b + 4 * p * f.bRow();
            long added = p > from ? to : begins;
            part(f, precision, left, right, to, rows, depth, p == 0 ? bias : 0, added);
          }
        });
    if (splits > 1) {
      partialSums.add(parallel, parts, splits, size, c);
    }
  }

  /** The product over some steps of k. */
  private void part(
      GemmShape f,
      Precision precision,
      long a,
      long b,
      long c,
      long rows,
      long depth,
      long bias,
      long add) {
    try (Scratch scratch = Scratch.frame()) {
      long right = scratch.bytes(precision.bytes(depth, f.n()));
      pack(f, precision, b, depth, 0, f.n(), right);
      call(f, precision, a, right, c, rows, depth, bias, add);
    }
  }

  /** As {@link NativeMatrices#sums}. */
  Sums sums(GemmShape f, Precision precision) {
    return (a, b, count, c, add) -> part(f, precision, a, b, c, f.m(), count, 0, add);
  }

  private static int tasks(long count, long most) {
    return Math.toIntExact((count + most - 1) / most);
  }

  private void pack(
      GemmShape f, Precision precision, long b, long k, long first, long end, long to) {
    long n = f.n();
    kernels.pack.run(b, f.bRow(), f.bColumn(), k, n, precision.terms(), first, end, to);
  }

  private void call(
      GemmShape f,
      Precision precision,
      long a,
      long right,
      long c,
      long rows,
      long depth,
      long bias,
      long add) {
    try (Scratch scratch = Scratch.frame()) {
      long n = f.n();
      kernels.gemm.run(
          a,
          f.aRow(),
          f.aColumn(),
          right,
          c,
          n,
          rows,
          n,
          depth,
          precision.terms(),
          bias,
          add,
          scratch.bytes(precision.bytes(depth, Precision.BLOCK)));
    }
  }
}
