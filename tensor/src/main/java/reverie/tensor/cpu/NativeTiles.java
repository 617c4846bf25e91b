// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import java.lang.invoke.MethodHandle;

/**
 * Matrix products on the tile unit, of factors cut to two bfloat16 numbers: {@code amx.c}. Exact
 * enough for gradients, and faster where there is more to multiply than to cut.
 */
final class NativeTiles {
  private static final int PLANES = 2;

  /** Columns that are packed together, steps of k in a slice of them. */
  private static final int SIDE = 32;

  /** Floats of A that are cut at a time; they stay in the second-level cache. */
  private static final int NEAR = 1 << 16;

  /** Steps of k for which B is cut at a time where k is long. */
  private static final int DEPTH = 512;

  private static final int MOST_ROWS = 256;
  private static final int MOST_CHUNKS = 16;

  /** Fewer columns are not worth the cutting. */
  private static final int LEAST_COLUMNS = 64;

  private static final int LEAST_STEPS = 32;

  private static final long LEAST_FLOPS = 4_000_000;

  private final NativeProducts products;
  private final MethodHandle pack;
  private final MethodHandle gemm;

  NativeTiles(NativeLibrary library, NativeProducts products) {
    this.products = products;
    pack = library.function("amx_pack", "pllllllp");
    gemm = library.function("amx_gemm", "pllppllllpp");
  }

  /** Whether a product can be computed here, faster than by vectors. */
  boolean fits(NativeProducts.Form f) {
    boolean strides = (f.aRow() == 1 || f.aColumn() == 1) && (f.bRow() == 1 || f.bColumn() == 1);
    return strides && f.flops() >= LEAST_FLOPS && f.n() >= LEAST_COLUMNS && f.k() >= LEAST_STEPS;
  }

  /** Whether the sum is so long that it is cut into pieces. */
  private static boolean isLong(NativeProducts.Form f) {
    return f.k() > 2 * DEPTH;
  }

  private static long up(long count, long unit) {
    return (count + unit - 1) / unit * unit;
  }

  /** Bytes of k times n numbers in tiles. */
  private static long bytes(long k, long n) {
    return 2L * PLANES * up(k, SIDE) * up(n, SIDE);
  }

  void multiply(Parallel parallel, NativeProducts.Form f, long a, long b, long c) {
    Scratch scratch = Scratch.mine();
    long mark = scratch.mark();
    if (isLong(f)) {
      pieces(parallel, f, a, b, c);
    } else {
      rows(parallel, f, a, b, c);
    }
    scratch.release(mark);
  }

  private void rows(Parallel parallel, NativeProducts.Form f, long a, long b, long c) {
    long right = Scratch.mine().take(bytes(f.k(), f.n()));
    int columns = Math.toIntExact(up(Math.clamp(NEAR / f.k(), 1, f.n()), SIDE));
    parallel.forEach(
        (f.n() + columns - 1) / columns,
        i -> pack(f, b, f.k(), (long) i * columns, (i + 1L) * columns, right));
    int most = Math.clamp(NEAR / f.k(), SIDE, MOST_ROWS);
    int blocks = (f.m() + most - 1) / most;
    parallel.forEach(
        blocks,
        i -> {
          long first = (long) i * f.m() / blocks;
          long rows = (i + 1L) * f.m() / blocks - first;
          call(f, a + 4 * first * f.aRow(), right, c + 4 * first * f.n(), rows, f.k(), false);
        });
  }

  /** Blocks of rows times pieces of the sum. */
  private void pieces(Parallel parallel, NativeProducts.Form f, long a, long b, long c) {
    int blocks = (f.m() + MOST_ROWS - 1) / MOST_ROWS;
    int pieces = Math.clamp(f.k() / DEPTH, 1, Math.max(1, MOST_CHUNKS / blocks));
    long size = (long) f.m() * f.n();
    long parts = pieces == 1 ? c : Scratch.mine().takeFloats(size * pieces);
    parallel.forEach(
        blocks * pieces,
        i -> {
          int piece = i / blocks;
          int block = i % blocks;
          long first = (long) block * f.m() / blocks;
          long rows = (block + 1L) * f.m() / blocks - first;
          long from = (long) piece * f.k() / pieces;
          long end = (piece + 1L) * f.k() / pieces;
          long to = parts + 4 * (piece * size + first * f.n());
          Scratch scratch = Scratch.mine();
          long mark = scratch.mark();
          long right = scratch.take(bytes(DEPTH, f.n()));
          for (long p = from; p < end; p += DEPTH) {
            long depth = Math.min(DEPTH, end - p);
            pack(f, b + 4 * p * f.bRow(), depth, 0, f.n(), right);
            long left = a + 4 * (first * f.aRow() + p * f.aColumn());
            call(f, left, right, to, rows, depth, p > from);
          }
          scratch.release(mark);
        });
    if (pieces > 1) {
      products.sum(parallel, parts, pieces, size, c);
    }
  }

  private void pack(NativeProducts.Form f, long b, long k, long first, long end, long to) {
    try {
      pack.invokeExact(b, f.bRow(), f.bColumn(), k, (long) f.n(), first, end, to);
    } catch (Throwable e) {
      throw NativeLibrary.failure(e);
    }
  }

  private void call(
      NativeProducts.Form f, long a, long right, long c, long rows, long depth, boolean adds) {
    Scratch scratch = Scratch.mine();
    long mark = scratch.mark();
    long n = f.n();
    try {
      gemm.invokeExact(
          a,
          f.aRow(),
          f.aColumn(),
          right,
          c,
          n,
          rows,
          n,
          depth,
          adds ? c : 0L,
          scratch.take(bytes(depth, rows)));
    } catch (Throwable e) {
      throw NativeLibrary.failure(e);
    }
    scratch.release(mark);
  }
}
