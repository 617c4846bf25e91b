// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import java.util.Arrays;
import reverie.tensor.DType;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Dnn;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.op.Pad;
import reverie.tensor.op.RandomNormal;
import reverie.tensor.op.Widen;

/** Elements that go elsewhere, and random ones: {@code moves.cu}. */
final class Moves {
  private static final int TILE = 32;
  private static final int WIDTH = 16;
  private static final int MAX_SEQUENCES = 48;
  private static final int MAX_PARTS = 8;

  private final Kernels kernels;

  Moves(Kernels kernels) {
    this.kernels = kernels;
  }

  /**
   * Of a matrix in row-major order, with this many rows and columns.
   *
   * @param half whether the result is rounded to bfloat16
   */
  void transpose(long from, long to, int rows, int columns, boolean half) {
    transpose(half ? "transpose_to_bf16" : "transpose", from, 4, to, half ? 2 : 4, rows, columns);
  }

  /** The same of a matrix of bfloat16, to float32. */
  void transposeHalves(long from, long to, int rows, int columns) {
    transpose("transpose_from_bf16", from, 2, to, 4, rows, columns);
  }

  private void transpose(
      String kernel, long from, long fromBytes, long to, long toBytes, int rows, int columns) {
    long tiles = (rows + TILE - 1L) / TILE * ((columns + TILE - 1L) / TILE);
    long elements = (long) rows * columns;
    Arguments arguments = new Arguments().read(from, fromBytes * elements);
    arguments.write(to, toBytes * elements).int64(rows).int64(columns);
    kernels.launch(kernel, kernels.blocks(tiles * Driver.THREADS), arguments);
  }

  /** Float32 to bfloat16, rounded to the nearest, ties to even. */
  void narrow(long from, long to, long n) {
    resize("narrow", new Arguments().read(from, 4 * n).write(to, 2 * n), from, to, n);
  }

  /** Bfloat16 to float32. */
  void widen(long from, long to, long n) {
    resize("widen", new Arguments().write(to, 4 * n).read(from, 2 * n), to, from, n);
  }

  /** Numbers of 16 bits, two in a word, to float32. */
  void widen(Widen op, Tensor words, Tensor y) {
    long n = y.size();
    String kernel = op.from() == DType.BF16 ? "widen" : "widen_f16";
    Arguments arguments = new Arguments().write(y).read(words);
    resize(kernel, arguments, address(y), address(words), n);
  }

  private void resize(String kernel, Arguments arguments, long wide, long narrow, long n) {
    boolean fours = wide % WIDTH == 0 && narrow % (WIDTH / 2) == 0;
    arguments.int64(n).int32(fours ? 1 : 0);
    kernels.launch(kernel, kernels.blocks((n + 3) / 4), arguments);
  }

  /** Images and what a convolution's weights meet in them. */
  record Unfolded(Dnn.Problem problem, long image, long columns, int images) {
    int rows() {
      return (problem.height() + 2 * problem.padding() - problem.kernelHeight()) / problem.stride()
          + 1;
    }

    int across() {
      return (problem.width() + 2 * problem.padding() - problem.kernelWidth()) / problem.stride()
          + 1;
    }

    /** Elements of the images. */
    long elements() {
      return (long) images * problem.height() * problem.width() * problem.channels();
    }

    /** Numbers that one pixel of the result is made of. */
    int width() {
      return problem.kernelHeight() * problem.kernelWidth() * problem.channels();
    }

    /** Elements of the columns. */
    long columnElements() {
      return (long) images * rows() * across() * width();
    }
  }

  /** Columns of images. */
  void unfold(Unfolded it) {
    Arguments arguments =
        new Arguments()
            .read(it.image, 4 * it.elements())
            .write(it.columns, 4 * it.columnElements());
    unfolded("unfold", it, arguments, it.columnElements());
  }

  /** Images of columns: the gradient of {@link #unfold}. */
  void fold(Unfolded it) {
    Arguments arguments =
        new Arguments()
            .write(it.image, 4 * it.elements())
            .read(it.columns, 4 * it.columnElements());
    unfolded("fold", it, arguments, it.elements());
  }

  private void unfolded(String kernel, Unfolded it, Arguments arguments, long elements) {
    Dnn.Problem problem = it.problem;
    arguments.int64(it.images).int32(problem.height()).int32(problem.width());
    arguments.int32(problem.channels()).int32(it.rows()).int32(it.across());
    arguments.int32(problem.kernelHeight()).int32(problem.kernelWidth());
    arguments.int32(problem.stride()).int32(problem.padding());
    kernels.launch(kernel, kernels.blocks(elements), arguments);
  }

  /**
   * Joins along an axis.
   *
   * @param y of the result's shape
   */
  void concat(int axis, Tensor[] inputs, Result result, Tensor y) {
    long rows = outer(y, axis);
    if (y.size() == 0) {
      return;
    }
    long row = y.size() / rows;
    Result to = result;
    for (int first = 0; first < inputs.length; first += MAX_PARTS) {
      int last = Math.min(inputs.length, first + MAX_PARTS);
      to = to.plus(concat(Arrays.copyOfRange(inputs, first, last), to, rows, row));
    }
  }

  /** Puts parts behind each other, and gives how many elements of a row they have. */
  private long concat(Tensor[] parts, Result to, long rows, long row) {
    long width = 0;
    long addresses = to.isAligned() ? 0 : 1;
    long lengths = row;
    for (Tensor x : parts) {
      width += x.size() / rows;
      addresses |= address(x);
      lengths |= x.size() / rows;
    }
    int unit = unit(addresses, lengths);
    Arguments arguments = new Arguments();
    for (int i = 0; i < MAX_PARTS; i++) {
      arguments.read(i < parts.length ? parts[i] : null);
    }
    for (int i = 0; i < MAX_PARTS; i++) {
      arguments.int64(i < parts.length ? parts[i].size() / rows / unit : 0);
    }
    arguments.write(to, rows * width).int64(rows).int64(width / unit).int64(row / unit);
    launch("concat", unit, rows * width, arguments);
    return width;
  }

  void pad(Pad pad, Tensor x, Tensor y) {
    long rows = outer(y, pad.axis());
    if (y.size() == 0) {
      return;
    }
    long row = y.size() / rows;
    long before = row / y.dim(pad.axis()) * pad.before();
    place(address(x), address(y), rows, x.size() / rows, before, row, row);
  }

  private static long outer(Tensor y, int axis) {
    long outer = 1;
    for (int i = 0; i < axis; i++) {
      outer *= y.dim(i);
    }
    return outer;
  }

  private void place(long from, long to, long rows, long count, long before, long width, long row) {
    int unit = unit(from | to, count | before | width | row);
    Arguments arguments = new Arguments().read(from, 4 * rows * count).write(to, 4 * rows * width);
    arguments.int64(rows).int64(count / unit);
    arguments.int64(before / unit).int64(width / unit).int64(row / unit);
    launch("place", unit, rows * width, arguments);
  }

  /**
   * How many elements can be moved at once.
   *
   * @param addresses all of them, joined by "or"
   * @param lengths of runs, joined likewise
   */
  private static int unit(long addresses, long lengths) {
    return addresses % WIDTH == 0 && lengths % 4 == 0 ? 4 : 1;
  }

  private void launch(String name, int unit, long elements, Arguments arguments) {
    String kernel = unit == 4 ? name + "_fours" : name;
    kernels.launch(kernel, kernels.blocks(elements / unit), arguments);
  }

  void embedding(Tensor table, Tensor indices, Tensor y) {
    int d = table.dim(1);
    int unit = unit(address(table) | address(y), d);
    Arguments arguments = new Arguments().read(address(table), 4 * y.size());
    arguments.read(indices).write(y);
    arguments.int64(indices.size()).int32(table.dim(0)).int32(d / unit);
    launch("embedding", unit, y.size(), arguments);
  }

  void scatterRows(Tensor dy, Tensor indices, Tensor y) {
    Arguments arguments = new Arguments().read(dy).read(indices).write(y);
    arguments.int64(indices.size()).int64(y.dim(0)).int32(y.dim(1));
    kernels.launch("scatter_rows", kernels.blocks((long) y.dim(0) * Driver.THREADS), arguments);
  }

  /** Seeds and streams go with the launch, so there are several if there are many rows. */
  void randomNormal(RandomNormal normal, Tensor y) {
    int rows = y.dim(0);
    long length = rows == 0 ? 0 : y.size() / rows;
    for (int first = 0; first < rows; first += MAX_SEQUENCES) {
      int count = Math.min(MAX_SEQUENCES, rows - first);
      long to = address(y) + 4 * first * length;
      Arguments arguments = new Arguments().write(to, 4 * count * length);
      arguments.int64(count).int64(length);
      for (long[] numbers : new long[][] {normal.seeds(), normal.streams()}) {
        for (int i = 0; i < MAX_SEQUENCES; i++) {
          arguments.int64(i < count ? numbers[first + i] : 0);
        }
      }
      arguments.int32(unit(to, length) == 4 ? 1 : 0);
      kernels.launch("random_normal", kernels.blocks(count * ((length + 3) / 4)), arguments);
    }
  }

  /** Means of tiles; y is of the result's shape. */
  void averagePool(int factor, Tensor x, Result result, Tensor y) {
    scale("average_pool", factor, x, result, y, y.dim(2));
  }

  /** Repeated pixels; y is of the result's shape. */
  void upsample(int factor, Tensor x, Result result, Tensor y) {
    scale("upsample", factor, x, result, y, x.dim(2));
  }

  /**
   * Makes an image smaller or larger.
   *
   * @param w pixels in a row of the smaller one
   */
  private void scale(String name, int factor, Tensor x, Result result, Tensor y, int w) {
    int c = y.dim(3);
    int unit = unit(address(x) | (result.isAligned() ? 0 : 1), c);
    Arguments arguments = new Arguments().read(x).write(result, y.size()).int64(y.size() / unit);
    launch(name, unit, y.size(), arguments.int32(factor).int32(w).int32(c / unit));
  }
}
