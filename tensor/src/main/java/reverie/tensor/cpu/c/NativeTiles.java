// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import java.lang.invoke.MethodHandle;
import reverie.tensor.cpu.c.NativeProducts.Form;
import reverie.tensor.cpu.c.NativeProducts.Rows;
import reverie.tensor.cpu.c.NativeProducts.Sums;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;

/** Matrix products on the tile unit, of factors cut to planes of bfloat16: {@code amx.c}. */
public final class NativeTiles {
  /** How exact a product is: how many bfloat16 numbers stand for each factor. */
  public enum Planes {
    /** rms error 4.4e-6 of the result, half as many products: for linear layers and gradients. */
    TWO(32, 128 * 32),
    /** As exact as float32: for convolutions, whose errors nothing dilutes, and plain products. */
    THREE(64, 64 * 64);

    /** Narrower matrices, or fewer numbers in the result, are not worth the cutting. */
    private final int leastSide;

    private final long leastArea;

    Planes(int leastSide, long leastArea) {
      this.leastSide = leastSide;
      this.leastArea = leastArea;
    }

    int count() {
      return this == TWO ? 2 : 3;
    }

    /** Bytes of k times n numbers in tiles. */
    private long bytes(long k, long n) {
      return 2L * count() * up(k, SIDE) * up(n, SIDE);
    }

    private static long up(long count, long unit) {
      return (count + unit - 1) / unit * unit;
    }
  }

  /** Rows and columns of a block of the result, steps of k in a tile. */
  private static final int SIDE = 32;

  /** Floats of B that are worth a chunk of packing. */
  private static final int NEAR = 1 << 16;

  /** Steps of k for which B is cut at a time where k is long. */
  private static final int DEPTH = 512;

  private static final int MOST_ROWS = 256;
  private static final int MOST_CHUNKS = 16;

  private static final long LEAST_FLOPS = 4_000_000;

  private final NativeProducts products;
  private final boolean exact;
  private final MethodHandle pack;
  private final MethodHandle gemm;

  /**
   * Takes its functions from a library.
   *
   * @param exact whether to leave to vectors what would be less exact here
   */
  public NativeTiles(NativeLibrary library, NativeProducts products, boolean exact) {
    this.products = products;
    this.exact = exact;
    pack = library.function("amx_pack", "plllllllp");
    gemm = library.function("amx_gemm", "pllpplllllppp");
  }

  /** Whether a product can be computed here, faster than by vectors. */
  public boolean fits(Form f, Planes planes) {
    boolean strides = (f.aRow() == 1 || f.aColumn() == 1) && (f.bRow() == 1 || f.bColumn() == 1);
    return strides
        && !(exact && planes == Planes.TWO)
        && f.flops() >= LEAST_FLOPS
        && Math.min(Math.min(f.m(), f.n()), f.k()) >= planes.leastSide
        && (long) f.m() * f.n() >= planes.leastArea;
  }

  /**
   * One product.
   *
   * @param bias address of n numbers added to every row, or 0
   * @param add address of m·n numbers added to the result, or 0
   */
  public void multiply(
      Parallel parallel, Form f, Planes planes, long a, long b, long c, long bias, long add) {
    try (Scratch scratch = Scratch.frame()) {
      if (f.aColumn() != 1 && f.bColumn() == 1 && f.m() > f.n() && bias == 0 && add == 0) {
        // To cut columns of the left factor costs a turn, so let it be the narrower one.
        Form other = new Form(f.n(), f.m(), f.k(), f.bColumn(), f.bRow(), f.aColumn(), f.aRow());
        long turned = scratch.floats((long) f.m() * f.n());
        product(parallel, other, planes, b, a, turned, 0, 0);
        products.turn(parallel, turned, f.n(), f.m(), c);
      } else {
        product(parallel, f, planes, a, b, c, bias, add);
      }
    }
  }

  private void product(
      Parallel parallel, Form f, Planes planes, long a, long b, long c, long bias, long add) {
    if (f.k() > 2 * DEPTH) {
      pieces(parallel, f, planes, a, b, c, bias, add);
      return;
    }
    Rows rows = rows(parallel, f, planes, b);
    parallel.forEach(
        chunks(f.m(), MOST_ROWS),
        i -> {
          long first = (long) i * MOST_ROWS;
          long count = Math.min(MOST_ROWS, f.m() - first);
          long at = 4 * first * f.n();
          rows.compute(a + 4 * first * f.aRow(), count, c + at, bias, add == 0 ? 0 : add + at);
        });
  }

  /** Cuts the right factor, into working memory of the caller. */
  public Rows rows(Parallel parallel, Form f, Planes planes, long b) {
    long right = Scratch.current().bytes(planes.bytes(f.k(), f.n()));
    int columns = Math.max(SIDE, NEAR / f.k() / SIDE * SIDE);
    parallel.forEach(
        chunks(f.n(), columns),
        i -> pack(f, planes, b, f.k(), (long) i * columns, (i + 1L) * columns, right));
    return (a, count, c, bias, add) -> call(f, planes, a, right, c, count, f.k(), bias, add);
  }

  /** Blocks of rows times pieces of the sum. */
  private void pieces(
      Parallel parallel, Form f, Planes planes, long a, long b, long c, long bias, long add) {
    int blocks = chunks(f.m(), MOST_ROWS);
    int pieces = Math.clamp(f.k() / DEPTH, 1, Math.max(1, MOST_CHUNKS / blocks));
    long size = (long) f.m() * f.n();
    long parts = pieces == 1 ? c : Scratch.current().floats(size * pieces);
    parallel.forEach(
        blocks * pieces,
        i -> {
          int piece = i / blocks;
          long first = (long) (i % blocks) * MOST_ROWS;
          long rows = Math.min(MOST_ROWS, f.m() - first);
          long from = (long) piece * f.k() / pieces;
          long end = (piece + 1L) * f.k() / pieces;
          long at = 4 * first * f.n();
          long to = parts + 4 * piece * size + at;
          long begins = add == 0 || piece > 0 ? 0 : add + at;
          for (long p = from; p < end; p += DEPTH) {
            long depth = Math.min(DEPTH, end - p);
            long left = a + 4 * (first * f.aRow() + p * f.aColumn());
            long right = b + 4 * p * f.bRow();
            long added = p > from ? to : begins;
            part(f, planes, left, right, to, rows, depth, p == 0 ? bias : 0, added);
          }
        });
    if (pieces > 1) {
      products.sum(parallel, parts, pieces, size, c);
    }
  }

  /** The product over some steps of k. */
  private void part(
      Form f, Planes planes, long a, long b, long c, long rows, long depth, long bias, long add) {
    try (Scratch scratch = Scratch.frame()) {
      long right = scratch.bytes(planes.bytes(depth, f.n()));
      pack(f, planes, b, depth, 0, f.n(), right);
      call(f, planes, a, right, c, rows, depth, bias, add);
    }
  }

  /** As {@link NativeProducts#sums}. */
  public Sums sums(Form f, Planes planes) {
    return (a, b, count, c, add) -> part(f, planes, a, b, c, f.m(), count, 0, add);
  }

  private static int chunks(long count, long most) {
    return Math.toIntExact((count + most - 1) / most);
  }

  private void pack(Form f, Planes planes, long b, long k, long first, long end, long to) {
    long n = f.n();
    try {
      pack.invokeExact(b, f.bRow(), f.bColumn(), k, n, (long) planes.count(), first, end, to);
    } catch (Throwable e) {
      throw NativeLibrary.failure(e);
    }
  }

  private void call(
      Form f,
      Planes planes,
      long a,
      long right,
      long c,
      long rows,
      long depth,
      long bias,
      long add) {
    try (Scratch scratch = Scratch.frame()) {
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
            (long) planes.count(),
            bias,
            add,
            scratch.bytes(planes.bytes(depth, SIDE)));
      } catch (Throwable e) {
        throw NativeLibrary.failure(e);
      }
    }
  }
}
