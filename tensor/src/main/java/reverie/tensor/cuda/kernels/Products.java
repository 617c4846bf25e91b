// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Blas;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;

/** Matrix products and linear layers by cuBLAS, which sees row-major matrices transposed. */
final class Products {
  private final Blas blas;
  private final Rehearsal rehearsal;
  private final Elements elements;
  private final Staging staging;
  private final Precision precision;

  Products(Blas blas, Rehearsal rehearsal, Elements elements, Precision precision) {
    this.blas = blas;
    this.rehearsal = rehearsal;
    this.elements = elements;
    this.precision = precision;
    staging = new Staging(elements);
  }

  /**
   * A matrix.
   *
   * @param transposed whether its columns are contiguous, else its rows are
   * @param leading elements from one row, or column, to the next
   */
  record Rows(long address, boolean transposed, int leading) {
    static Rows contiguous(long address, int columns) {
      return new Rows(address, false, columns);
    }

    Rows flipped() {
      return new Rows(address, !transposed, leading);
    }

    private Blas.Matrix columns(long stride) {
      return new Blas.Matrix(address, transposed, Math.max(1, leading), stride);
    }
  }

  /** y[m, n] = a[m, k]·b[k, n]. */
  void multiply(Rows a, Rows b, long y, int m, int n, int k) {
    multiply(a, 0, b, 0, y, m, n, k, 1);
  }

  /** What distinguishes two calls of cuBLAS's that may use different kernels. */
  private record Kind(Blas.Matrix a, Blas.Matrix b, int m, int n, int k, int batch) {
    Kind {
      a = new Blas.Matrix(0, a.transposed(), a.leading(), a.stride());
      b = new Blas.Matrix(0, b.transposed(), b.leading(), b.stride());
    }
  }

  private void multiply(
      Rows a, long aStride, Rows b, long bStride, long y, int m, int n, int k, int batch) {
    Blas.Matrix first = b.columns(bStride);
    Blas.Matrix second = a.columns(aStride);
    long size = (long) m * n;
    rehearsal.call(
        new Kind(first, second, n, m, k, batch),
        4 * size * batch,
        y,
        to ->
            blas.multiply(
                first, second, new Blas.Matrix(to, false, n, size), n, m, k, batch, precision));
  }

  /** x·weightᵀ + bias + residual. */
  void linear(Tensor[] inputs, Tensor y, Space scratch) {
    if (y.size() == 0) {
      return;
    }
    long to = staging.write(y, scratch);
    layer(staging.read(inputs[0], scratch), inputs[1], to, rows(inputs[1], y), scratch);
    staging.finish(y, to);
    elements.epilogue(
        y, inputs.length > 2 ? inputs[2] : null, inputs.length > 3 ? inputs[3] : null);
  }

  private static int rows(Tensor weight, Tensor y) {
    return Math.toIntExact(y.size() / weight.dim(0));
  }

  /** y[rows, out] = x[rows, in]·weight[out, in]ᵀ, of aligned x and y. */
  private void layer(long x, Tensor weight, long y, int rows, Space scratch) {
    int in = weight.dim(1);
    int out = weight.dim(0);
    if (in == 0) {
      elements.fill(0, y, (long) rows * out);
    } else {
      Rows rowsOfWeight = Rows.contiguous(staging.read(weight, scratch), in);
      multiply(Rows.contiguous(x, in), rowsOfWeight.flipped(), y, rows, out, in);
    }
  }

  /** Two linear layers; what gates between them adds the first one's bias. */
  void feedForward(Tensor[] inputs, Tensor y, Space scratch) {
    if (y.size() == 0) {
      return;
    }
    int wide = inputs[1].dim(0);
    int rows = rows(inputs[3], y);
    long to = staging.write(y, scratch);
    long before = scratch.take(4L * rows * wide);
    long gated = scratch.take(2L * rows * wide);
    layer(staging.read(inputs[0], scratch), inputs[1], before, rows, scratch);
    elements.geglu(before, address(inputs[2]), gated, (long) rows * wide / 2, wide / 2);
    layer(gated, inputs[3], to, rows, scratch);
    staging.finish(y, to);
    elements.epilogue(y, inputs[4], inputs[5]);
  }

  /** Bytes for what is between the layers, and for copies. */
  static long scratchBytes(FeedForward op, Tensor[] inputs, Tensor y) {
    long wide = y.size() == 0 ? 0 : (long) rows(inputs[3], y) * inputs[1].dim(0);
    return Space.aligned(4 * wide)
        + Space.aligned(2 * wide)
        + Staging.scratchBytes(inputs[0], inputs[1], inputs[3], y);
  }

  /** Bytes for copies of operands that cuBLAS cannot take as they are. */
  static long scratchBytes(Linear op, Tensor[] inputs, Tensor y) {
    return Staging.scratchBytes(inputs[0], inputs[1], y);
  }

  /** The same for a product. */
  static long scratchBytes(MatMul op, Tensor[] inputs, Tensor y) {
    return copyBytes(inputs[0], y) + copyBytes(inputs[1], y) + Staging.scratchBytes(y);
  }

  private static long copyBytes(Tensor x, Tensor y) {
    Shape copy = copied(x, y);
    return copy == null ? 0 : Space.aligned(4 * copy.size());
  }

  /** Batched products of matrices; leading axes broadcast. */
  void matmul(Tensor a, Tensor b, Tensor y, Space scratch) {
    if (y.size() == 0) {
      return;
    }
    if (a.dim(-1) == 0) {
      elements.fill(0, y);
      return;
    }
    Operand first = operand(a, y, scratch);
    Operand second = operand(b, y, scratch);
    int m = y.dim(-2);
    int n = y.dim(-1);
    long to = staging.write(y, scratch);
    int batch = Math.toIntExact(y.size() / m / n);
    multiply(first.matrix, first.stride, second.matrix, second.stride, to, m, n, a.dim(-1), batch);
    staging.finish(y, to);
  }

  /** A factor: its first matrix, and elements from one of a batch to the next. */
  private record Operand(Rows matrix, long stride) {}

  private Operand operand(Tensor x, Tensor y, Space scratch) {
    Shape copy = copied(x, y);
    if (copy == null) {
      return operand(address(x), x, x.shape(), x.strides(), y);
    }
    long at = scratch.take(4 * copy.size());
    elements.copy(x, copy, at);
    return operand(at, x, copy, copy.contiguousStrides(), y);
  }

  private static Operand operand(long at, Tensor x, Shape shape, int[] strides, Tensor y) {
    int rows = x.dim(-2);
    int columns = x.dim(-1);
    int row = strides[strides.length - 2];
    int column = strides[strides.length - 1];
    Rows matrix =
        fits(rows, row, columns, column)
            ? new Rows(at, false, rows == 1 ? columns : row)
            : new Rows(at, true, columns == 1 ? rows : column);
    return new Operand(matrix, batchStride(shape, strides, y));
  }

  /**
   * Elements from one matrix of the batch to the next, if that is always the same; else -1.
   *
   * @param shape of an operand that is broadcast to y
   */
  private static long batchStride(Shape shape, int[] strides, Tensor y) {
    int lead = y.shape().rank() - shape.rank();
    long stride = 0;
    long next = -1;
    for (int axis = y.shape().rank() - 3; axis >= 0; axis--) {
      int own = axis - lead;
      long walked = own < 0 || shape.dim(own) == 1 ? 0 : strides[own];
      if (y.dim(axis) == 1) {
        continue;
      }
      if (next >= 0 && walked != next) {
        return -1;
      }
      stride = next < 0 ? walked : stride;
      next = walked * y.dim(axis);
    }
    return stride;
  }

  /** As what an operand is to be copied; null if cuBLAS can take it as it is. */
  private static Shape copied(Tensor x, Tensor y) {
    boolean rows =
        fits(x.dim(-2), x.stride(-2), x.dim(-1), x.stride(-1))
            || fits(x.dim(-1), x.stride(-1), x.dim(-2), x.stride(-2));
    boolean batch = batchStride(x.shape(), x.strides(), y) >= 0;
    if (rows && batch && Staging.isAligned(x)) {
      return null;
    }
    if (batchStride(x.shape(), x.shape().contiguousStrides(), y) >= 0) {
      return x.shape();
    }
    int[] dims = y.shape().dims();
    dims[dims.length - 2] = x.dim(-2);
    dims[dims.length - 1] = x.dim(-1);
    return Shape.of(dims);
  }

  /** Whether rows or columns are contiguous and do not overlap. */
  private static boolean fits(int rows, int row, int columns, int column) {
    return (columns == 1 || column == 1) && (rows == 1 || row >= columns);
  }
}
