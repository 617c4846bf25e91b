// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import java.lang.invoke.MethodHandle;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.c.NativeTiles.Planes;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.MatMul;

/**
 * Matrix products: {@code gemm.c}. Chunks are rows of the result; where these are too few for
 * several threads the sum over k is cut into pieces as well, which are added in their order.
 */
public final class NativeProducts {
  /** Steps of k for which C keeps a copy of its operands: GEMM_DEPTH and what aligns rows. */
  private static final long DEPTH = 512 + 32;

  /** Columns that are packed together, for every width of vector. */
  private static final int PANEL = 32;

  /** In place of a stride: columns have been packed. */
  private static final int PACKED = -1;

  /** What makes a chunk worth handing to another thread: about 20 µs. */
  private static final long CHUNK_FLOPS = 3_000_000;

  private static final int MOST_CHUNKS = 32;
  private static final int LEAST_ROWS = 56;
  private static final int MOST_ROWS = 512;
  private static final int LEAST_DEPTH = 256;

  /** Columns that are turned at a time. */
  private static final long TURNED = 256;

  /** Of linear layers: what they do not know exactly is small beside what they are added to. */
  public static final Planes LINEAR = Planes.TWO;

  private final MethodHandle pack;
  private final MethodHandle gemm;
  private final MethodHandle sum;
  private final MethodHandle turn;

  /** Null without a tile unit. */
  private final NativeTiles tiles;

  /**
   * Takes its functions from a library.
   *
   * @param exact whether all products must be as exact as float32
   */
  public NativeProducts(NativeLibrary library, boolean exact) {
    pack = library.function("gemm_pack", "pllllllllp");
    gemm = library.function("gemm", "pllpllpllllppp");
    sum = library.function("gemm_sum", "pllllp");
    turn = library.function("turn", "pllllp");
    tiles = library.has("amx_gemm") ? new NativeTiles(library, this, exact) : null;
  }

  /**
   * C[m, n] = A·B: what lies how far apart, in floats. C's rows follow one another.
   *
   * @param aColumn 1, or aRow is, or A is copied element by element
   */
  public record Form(int m, int n, int k, long aRow, long aColumn, long bRow, long bColumn) {
    long flops() {
      return 2L * m * n * k;
    }

    boolean rightInPlace() {
      return bColumn == 1 && inPlace(bRow, n);
    }

    long scratch(int rows) {
      return DEPTH * (rows + n + 64L);
    }
  }

  /** Whether rows of n columns of B are read where they lie, by vectors of any width. */
  public static boolean inPlace(long bRow, int n) {
    return n % 16 == 0 && bRow <= 256;
  }

  /** Batched products of matrices of any strides; leading axes broadcast. */
  public void matmul(Parallel parallel, MatMul op, Tensor a, Tensor b, Tensor y) {
    if (y.size() == 0) {
      return;
    }
    int m = y.dim(-2);
    int n = y.dim(-1);
    int k = a.dim(-1);
    int batch = Math.toIntExact(y.size() / ((long) m * n));
    boolean flat = batch > 1 && b.size() == (long) k * n && a.isContiguous();
    Form form =
        flat
            ? new Form(batch * m, n, k, k, 1, b.stride(-2), b.stride(-1))
            : new Form(m, n, k, a.stride(-2), a.stride(-1), b.stride(-2), b.stride(-1));
    if (flat || batch == 1) {
      Planes planes = op.gradient() ? Planes.TWO : Planes.THREE;
      multiply(parallel, form, planes, address(a), address(b), address(y), 0, 0);
    } else {
      batched(parallel, form, offsets(a, y, batch), offsets(b, y, batch), address(y));
    }
  }

  /** x·weightᵀ (+ bias) (+ residual). */
  public void linear(Parallel parallel, Tensor[] inputs, Tensor y) {
    if (y.size() > 0) {
      int rows = Math.toIntExact(y.shape().rows());
      multiply(
          parallel,
          linear(rows, y.dim(-1), inputs[1].dim(1)),
          LINEAR,
          address(inputs[0]),
          address(inputs[1]),
          address(y),
          inputs.length > 2 ? address(inputs[2]) : 0,
          inputs.length > 3 ? address(inputs[3]) : 0);
    }
  }

  /** x·weightᵀ of so many rows; the weight is [out, in]. */
  public static Form linear(int rows, int out, int in) {
    return new Form(rows, out, in, in, 1, 1, in);
  }

  /** Some rows of a product whose right factor is ready: see {@link #multiply}. */
  public interface Rows {
    void compute(long a, long count, long c, long bias, long add);
  }

  /** Aᵀ·B, of which some rows of both are added to what is at {@code add}, or to nothing. */
  public interface Sums {
    void add(long a, long b, long count, long c, long add);
  }

  /**
   * One product, on the tile unit where there is one and it is worth it.
   *
   * @param bias address of n numbers added to every row, or 0
   * @param add address of m·n numbers added to the result, or 0
   */
  public void multiply(
      Parallel parallel, Form f, Planes planes, long a, long b, long c, long bias, long add) {
    if (onTiles(f, planes)) {
      tiles.multiply(parallel, f, planes, a, b, c, bias, add);
    } else {
      multiply(parallel, f, a, b, c, bias, add);
    }
  }

  /** A product to be made some rows at a time; its right factor lies in the caller's scratch. */
  public Rows rows(Parallel parallel, Form f, Planes planes, long b) {
    return onTiles(f, planes) ? tiles.rows(parallel, f, planes, b) : rows(parallel, f, b);
  }

  /** A product of which some steps of k are added at a time. */
  public Sums sums(Form f, Planes planes) {
    return onTiles(f, planes)
        ? tiles.sums(f, planes)
        : (a, b, count, c, add) -> call(f, a, b, c, f.m, (int) count, 0, add);
  }

  private boolean onTiles(Form f, Planes planes) {
    return tiles != null && tiles.fits(f, planes);
  }

  private static long wanted(Form f) {
    return Math.clamp(f.flops() / CHUNK_FLOPS, 1, MOST_CHUNKS);
  }

  private static int blocks(Form f) {
    int rows = Math.clamp((f.m + wanted(f) - 1) / wanted(f), Math.min(LEAST_ROWS, f.m), MOST_ROWS);
    return (f.m + rows - 1) / rows;
  }

  private static int pieces(Form f) {
    return f.m == 0 ? 1 : Math.clamp(wanted(f) / blocks(f), 1, Math.max(1, f.k / LEAST_DEPTH));
  }

  private void multiply(Parallel parallel, Form f, long a, long b, long c, long bias, long add) {
    int blocks = blocks(f);
    int pieces = pieces(f);
    try (Scratch _ = Scratch.frame()) {
      if (pieces > 1) {
        pieces(parallel, f, a, b, c, bias, add, blocks, pieces);
      } else if (blocks > 1) {
        Rows rows = rows(parallel, f, b);
        parallel.forEach(
            blocks,
            i -> {
              long first = (long) i * f.m / blocks;
              long count = (long) (i + 1) * f.m / blocks - first;
              long at = 4 * first * f.n;
              rows.compute(a + 4 * first * f.aRow, count, c + at, bias, add == 0 ? 0 : add + at);
            });
      } else {
        parallel.forEach(1, _ -> call(f, a, b, c, f.m, f.k, bias, add));
      }
    }
  }

  private Rows rows(Parallel parallel, Form f, long b) {
    Form ready = f.rightInPlace() ? f : new Form(f.m, f.n, f.k, f.aRow, f.aColumn, 0, PACKED);
    long right = f.rightInPlace() ? b : Scratch.current().floats((long) f.k * (f.n + PANEL));
    if (!f.rightInPlace()) {
      pack(parallel, f, b, right);
    }
    return (a, count, c, bias, add) -> call(ready, a, right, c, (int) count, f.k, bias, add);
  }

  private void pieces(
      Parallel parallel,
      Form f,
      long a,
      long b,
      long c,
      long bias,
      long add,
      int blocks,
      int pieces) {
    long size = (long) f.m * f.n;
    long parts = Scratch.current().floats(size * pieces);
    parallel.forEach(
        blocks * pieces,
        i -> {
          int piece = i / blocks;
          int block = i % blocks;
          long first = (long) block * f.m / blocks;
          int rows = (int) ((long) (block + 1) * f.m / blocks - first);
          long from = (long) piece * f.k / pieces;
          int depth = (int) ((long) (piece + 1) * f.k / pieces - from);
          long at = 4 * first * f.n;
          call(
              f,
              a + 4 * (first * f.aRow + from * f.aColumn),
              b + 4 * from * f.bRow,
              parts + 4 * piece * size + at,
              rows,
              depth,
              piece == 0 ? bias : 0,
              piece == 0 && add != 0 ? add + at : 0);
        });
    sum(parallel, parts, pieces, size, c);
  }

  /** Adds parts in their order. */
  public void sum(Parallel parallel, long parts, int count, long size, long to) {
    long chunk = 1 << 13;
    parallel.forEach(
        Math.toIntExact((size + chunk - 1) / chunk),
        i -> {
          try {
            sum.invokeExact(
                parts, (long) count, size, i * chunk, Math.min(size, (i + 1) * chunk), to);
          } catch (Throwable e) {
            throw NativeLibrary.failure(e);
          }
        });
  }

  /** Columns of a matrix as rows of another. */
  public void turn(Parallel parallel, long from, long rows, long columns, long to) {
    parallel.forEach(
        Math.toIntExact((columns + TURNED - 1) / TURNED),
        i -> {
          long first = i * TURNED;
          try {
            turn.invokeExact(from, rows, columns, first, Math.min(columns, first + TURNED), to);
          } catch (Throwable e) {
            throw NativeLibrary.failure(e);
          }
        });
  }

  private void pack(Parallel parallel, Form f, long b, long panels) {
    int columns = columns(f.k);
    parallel.forEach(
        (f.n + columns - 1) / columns,
        i -> pack(b, f.bRow, f.bColumn, f.k, f.n, 0, f.k, i * columns, columns, panels));
  }

  /** Columns of k rows that are worth a chunk of packing. */
  public static int columns(long k) {
    return Math.clamp((1 << 16) / Math.max(1, k) / PANEL * PANEL, PANEL, 1 << 16);
  }

  /** Packs some columns of k rows that begin at a row of kAll. */
  public void pack(
      long b,
      long bRow,
      long bColumn,
      long k,
      long n,
      long row,
      long kAll,
      long first,
      long columns,
      long panels) {
    try {
      pack.invokeExact(b, bRow, bColumn, k, n, row, kAll, first, first + columns, panels);
    } catch (Throwable e) {
      throw NativeLibrary.failure(e);
    }
  }

  private void batched(Parallel parallel, Form f, long[] a, long[] b, long c) {
    int group = Math.toIntExact(Math.clamp(CHUNK_FLOPS / Math.max(1, f.flops()), 1, a.length));
    parallel.forEach(
        (a.length + group - 1) / group,
        chunk -> {
          for (int i = chunk * group; i < Math.min(a.length, (chunk + 1) * group); i++) {
            call(f, a[i], b[i], c + 4L * i * f.m * f.n, f.m, f.k, 0, 0);
          }
        });
  }

  private void call(Form f, long a, long b, long c, int rows, int depth, long bias, long add) {
    try (Scratch scratch = Scratch.frame()) {
      long n = f.n;
      try {
        gemm.invokeExact(
            a,
            f.aRow,
            f.aColumn,
            b,
            f.bRow,
            f.bColumn,
            c,
            n,
            (long) rows,
            n,
            (long) depth,
            bias,
            add,
            scratch.floats(f.scratch(rows)));
      } catch (Throwable e) {
        throw NativeLibrary.failure(e);
      }
    }
  }

  /** The address of each matrix of x that y's batches need. */
  private static long[] offsets(Tensor x, Tensor y, int batch) {
    long[] out = new long[batch];
    int lead = y.shape().rank() - x.shape().rank();
    for (int i = 0; i < batch; i++) {
      long address = address(x);
      int rest = i;
      for (int axis = y.shape().rank() - 3; axis >= 0; axis--) {
        int index = rest % y.dim(axis);
        rest /= y.dim(axis);
        if (axis >= lead && x.dim(axis - lead) != 1) {
          address += 4L * index * x.stride(axis - lead);
        }
      }
      out[i] = address;
    }
    return out;
  }
}
