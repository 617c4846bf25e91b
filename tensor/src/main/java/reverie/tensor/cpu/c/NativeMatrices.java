// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.GemmShape;
import reverie.tensor.cpu.kernel.MatrixKernels;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;

/**
 * Matrix products: {@code gemm.c}. Tasks are rows of the result; where these are too few for
 * several threads the sum over k is split as well, which are added in their order. Of a large right
 * factor tasks take columns, which they pack in their own cache: it is read from memory once.
 */
final class NativeMatrices implements MatrixKernels {
  /** Steps of k for which C keeps a copy of its operands: GEMM_DEPTH and what aligns rows. */
  private static final long DEPTH = 512 + 32;

  /** Columns that are packed together, for every width of vector. */
  private static final int PANEL = 32;

  /** In place of a stride: columns have been packed. */
  private static final int PACKED = -1;

  /** What makes a task worth handing to another thread: about 20 µs. */
  private static final long TASK_FLOPS = 3_000_000;

  private static final int MAX_TASKS = 32;
  private static final int MIN_ROWS = 56;
  private static final int MAX_ROWS = 512;
  private static final int MIN_DEPTH = 256;

  /**
   * Floats of a right factor that rows one after another would read from memory again and again.
   */
  private static final long LARGE_RIGHT = 1 << 19;

  /** Rows and columns of a task of such a product. */
  private static final int LARGE_ROWS = 1024;

  static final int LARGE_COLUMNS = 96;

  /** Of linear layers: what they do not know exactly is small beside what they are added to. */
  static final Precision LINEAR = Precision.BF16X2;

  private final Kernels kernels;
  private final PartialSums partialSums;

  /** Null without a tile unit. */
  private final TileGemm tiles;

  /** With {@code exact} all products are as exact as float32. */
  NativeMatrices(Kernels kernels, PartialSums partialSums, boolean exact) {
    this.kernels = kernels;
    this.partialSums = partialSums;
    tiles = kernels.tileUnit == null ? null : new TileGemm(kernels.tileUnit, partialSums, exact);
  }

  private static boolean rightInPlace(GemmShape f) {
    return f.bColumn() == 1 && inPlace(f.bRow(), f.n());
  }

  /** Floats of working memory for some rows and columns. */
  private static long scratch(int rows, int columns) {
    return DEPTH * (rows + columns + 64L);
  }

  /** Whether rows of n columns of B are read where they lie, by vectors of any width. */
  static boolean inPlace(long bRow, int n) {
    return n % 16 == 0 && bRow <= 256;
  }

  @Override
  public void matMul(Parallel parallel, MatMul op, Tensor[] inputs, Tensor[] outputs) {
    Tensor a = inputs[0];
    Tensor b = inputs[1];
    Tensor y = outputs[0];
    if (y.size() == 0) {
      return;
    }
    GemmShape shape = GemmShape.of(a, b, y);
    int batch = Math.toIntExact(y.size() / ((long) shape.m() * shape.n()));
    boolean flat = batch > 1 && b.size() == (long) shape.k() * shape.n() && a.isContiguous();
    if (flat || batch == 1) {
      Precision precision = op.gradient() ? Precision.BF16X2 : Precision.BF16X3;
      GemmShape one = flat ? shape.flattened(batch) : shape;
      multiply(parallel, one, precision, address(a), address(b), address(y), 0, 0);
    } else {
      batched(
          parallel,
          shape,
          GemmShape.addresses(a, y, batch),
          GemmShape.addresses(b, y, batch),
          address(y));
    }
  }

  @Override
  public void linear(Parallel parallel, Linear op, Tensor[] inputs, Tensor[] outputs) {
    Tensor y = outputs[0];
    if (y.size() > 0) {
      int rows = Math.toIntExact(y.shape().rows());
      multiply(
          parallel,
          GemmShape.linear(rows, y.dim(-1), inputs[1].dim(1)),
          LINEAR,
          address(inputs[0]),
          address(inputs[1]),
          address(y),
          inputs.length > 2 ? address(inputs[2]) : 0,
          inputs.length > 3 ? address(inputs[3]) : 0);
    }
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
  void multiply(
      Parallel parallel,
      GemmShape f,
      Precision precision,
      long a,
      long b,
      long c,
      long bias,
      long add) {
    if (onTiles(f, precision)) {
      tiles.multiply(parallel, f, precision, a, b, c, bias, add);
    } else {
      multiply(parallel, f, a, b, c, bias, add);
    }
  }

  /** A product to be made some rows at a time; its right factor lies in the caller's scratch. */
  Rows rows(Parallel parallel, GemmShape f, Precision precision, long b) {
    return onTiles(f, precision) ? tiles.rows(parallel, f, precision, b) : rows(parallel, f, b);
  }

  /** A product of which some steps of k are added at a time. */
  Sums sums(GemmShape f, Precision precision) {
    return onTiles(f, precision)
        ? tiles.sums(f, precision)
        : (a, b, count, c, add) -> call(f, a, b, c, f.m(), (int) count, 0, add);
  }

  private boolean onTiles(GemmShape f, Precision precision) {
    return tiles != null && tiles.fits(f, precision);
  }

  private static long targetTasks(GemmShape f) {
    return Math.clamp(f.flops() / TASK_FLOPS, 1, MAX_TASKS);
  }

  private static int blocks(GemmShape f) {
    int rows =
        Math.clamp(
            (f.m() + targetTasks(f) - 1) / targetTasks(f), Math.min(MIN_ROWS, f.m()), MAX_ROWS);
    return (f.m() + rows - 1) / rows;
  }

  private static int splits(GemmShape f) {
    return f.m() == 0
        ? 1
        : Math.clamp(targetTasks(f) / blocks(f), 1, Math.max(1, f.k() / MIN_DEPTH));
  }

  private void multiply(
      Parallel parallel, GemmShape f, long a, long b, long c, long bias, long add) {
    if (byColumns(f)) {
      byColumns(parallel, f, a, b, c, bias, add);
      return;
    }
    int blocks = blocks(f);
    int splits = splits(f);
    try (Scratch _ = Scratch.frame()) {
      if (splits > 1) {
        splitSum(parallel, f, a, b, c, bias, add, blocks, splits);
      } else if (blocks > 1) {
        Rows rows = rows(parallel, f, b);
        parallel.parallelFor(
            blocks,
            i -> {
              long first = (long) i * f.m() / blocks;
              long count = (long) (i + 1) * f.m() / blocks - first;
              long at = 4 * first * f.n();
              rows.compute(a + 4 * first * f.aRow(), count, c + at, bias, add == 0 ? 0 : add + at);
            });
      } else {
        parallel.parallelFor(1, _ -> call(f, a, b, c, f.m(), f.k(), bias, add));
      }
    }
  }

  /** Whether tasks of a product should take columns of its right factor: {@link #columns}. */
  boolean byColumns(GemmShape f, Precision precision) {
    return !onTiles(f, precision) && byColumns(f);
  }

  private static boolean byColumns(GemmShape f) {
    return (long) f.k() * f.n() >= LARGE_RIGHT && f.aColumn() == 1 && !rightInPlace(f);
  }

  /** A task: some rows, and columns of the right factor. */
  interface Block {
    void compute(int row, int rows, int column, int columns);
  }

  /** Divides m rows and n columns among tasks, so that few read the same columns. */
  static void forEachBlock(Parallel parallel, int m, int n, int columns, Block body) {
    int down = (m + LARGE_ROWS - 1) / LARGE_ROWS;
    int across = (n + columns - 1) / columns;
    parallel.parallelFor(
        down * across,
        i -> {
          int row = (int) ((long) (i % down) * m / down);
          int end = (int) ((long) (i % down + 1) * m / down);
          int column = i / down * columns;
          body.compute(row, end - row, column, Math.min(columns, n - column));
        });
  }

  private void byColumns(
      Parallel parallel, GemmShape f, long a, long b, long c, long bias, long add) {
    forEachBlock(
        parallel,
        f.m(),
        f.n(),
        LARGE_COLUMNS,
        (row, rows, column, columns) -> {
          long at = 4 * ((long) row * f.n() + column);
          long sum = add == 0 ? 0 : add + at;
          columns(f, a + 4 * row * f.aRow(), rows, b, column, columns, c + at, f.n(), bias, sum);
        });
  }

  /**
   * Some rows, at {@code a}, and columns of a product, whose rows go {@code cRow} floats apart.
   * Both are in proportion to what a core's cache holds.
   */
  void columns(
      GemmShape f,
      long a,
      int rows,
      long b,
      int column,
      int columns,
      long c,
      long cRow,
      long bias,
      long add) {
    try (Scratch scratch = Scratch.frame()) {
      kernels.gemm.run(
          a,
          f.aRow(),
          f.aColumn(),
          b + 4 * column * f.bColumn(),
          f.bRow(),
          f.bColumn(),
          c,
          cRow,
          rows,
          columns,
          f.k(),
          bias == 0 ? 0 : bias + 4L * column,
          add,
          scratch.floats(scratch(rows, columns)));
    }
  }

  private Rows rows(Parallel parallel, GemmShape f, long b) {
    GemmShape ready =
        rightInPlace(f) ? f : new GemmShape(f.m(), f.n(), f.k(), f.aRow(), f.aColumn(), 0, PACKED);
    long right = rightInPlace(f) ? b : Scratch.current().floats((long) f.k() * (f.n() + PANEL));
    if (!rightInPlace(f)) {
      pack(parallel, f, b, right);
    }
    return (a, count, c, bias, add) -> call(ready, a, right, c, (int) count, f.k(), bias, add);
  }

  private void splitSum(
      Parallel parallel,
      GemmShape f,
      long a,
      long b,
      long c,
      long bias,
      long add,
      int blocks,
      int splits) {
    long size = (long) f.m() * f.n();
    long parts = Scratch.current().floats(size * splits);
    parallel.parallelFor(
        blocks * splits,
        i -> {
          int split = i / blocks;
          int block = i % blocks;
          long first = (long) block * f.m() / blocks;
          int rows = (int) ((long) (block + 1) * f.m() / blocks - first);
          long from = (long) split * f.k() / splits;
          int depth = (int) ((long) (split + 1) * f.k() / splits - from);
          long at = 4 * first * f.n();
          call(
              f,
              a + 4 * (first * f.aRow() + from * f.aColumn()),
              b + 4 * from * f.bRow(),
              parts + 4 * split * size + at,
              rows,
              depth,
              split == 0 ? bias : 0,
              split == 0 && add != 0 ? add + at : 0);
        });
    partialSums.add(parallel, parts, splits, size, c);
  }

  private void pack(Parallel parallel, GemmShape f, long b, long panels) {
    int columns = columns(f.k());
    parallel.parallelFor(
        (f.n() + columns - 1) / columns,
        i -> pack(b, f.bRow(), f.bColumn(), f.k(), f.n(), 0, f.k(), i * columns, columns, panels));
  }

  /** Columns of k rows that are worth a task of packing. */
  static int columns(long k) {
    return Math.clamp((1 << 16) / Math.max(1, k) / PANEL * PANEL, PANEL, 1 << 16);
  }

  /** Packs some columns of k rows that begin at a row of kAll. */
  void pack(
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
    kernels.packPanels.run(b, bRow, bColumn, k, n, row, kAll, first, first + columns, panels);
  }

  private void batched(Parallel parallel, GemmShape f, long[] a, long[] b, long c) {
    int group = Math.toIntExact(Math.clamp(TASK_FLOPS / Math.max(1, f.flops()), 1, a.length));
    parallel.parallelFor(
        (a.length + group - 1) / group,
        task -> {
          for (int i = task * group; i < Math.min(a.length, (task + 1) * group); i++) {
            call(f, a[i], b[i], c + 4L * i * f.m() * f.n(), f.m(), f.k(), 0, 0);
          }
        });
  }

  private void call(GemmShape f, long a, long b, long c, int rows, int depth, long bias, long add) {
    try (Scratch scratch = Scratch.frame()) {
      long n = f.n();
      kernels.gemm.run(
          a,
          f.aRow(),
          f.aColumn(),
          b,
          f.bRow(),
          f.bColumn(),
          c,
          n,
          rows,
          n,
          depth,
          bias,
          add,
          scratch.floats(scratch(rows, f.n())));
    }
  }
}
