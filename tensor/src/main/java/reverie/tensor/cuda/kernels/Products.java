// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import java.util.Arrays;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Blas;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;

/** Matrix products and linear layers by cuBLAS, which sees row-major matrices transposed. */
final class Products {
  private final Blas blas;
  private final Elements elements;
  private final Precision precision;

  Products(Blas blas, Elements elements, Precision precision) {
    this.blas = blas;
    this.elements = elements;
    this.precision = precision;
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

  private void multiply(
      Rows a, long aStride, Rows b, long bStride, long y, int m, int n, int k, int batch) {
    Blas.Matrix result = new Blas.Matrix(y, false, n, (long) m * n);
    blas.multiply(b.columns(bStride), a.columns(aStride), result, n, m, k, batch, precision);
  }

  /** x·weightᵀ + bias + residual. */
  void linear(Tensor[] inputs, Tensor y) {
    int in = inputs[1].dim(1);
    int out = inputs[1].dim(0);
    if (y.size() == 0) {
      return;
    }
    int rows = Math.toIntExact(y.size() / out);
    if (in == 0) {
      elements.fill(0, y);
    } else {
      multiply(
          Rows.contiguous(address(inputs[0]), in),
          Rows.contiguous(address(inputs[1]), in).flipped(),
          address(y),
          rows,
          out,
          in);
    }
    elements.epilogue(
        y, inputs.length > 2 ? inputs[2] : null, inputs.length > 3 ? inputs[3] : null);
  }

  /** Bytes for copies of matrices that neither go row by row nor column by column. */
  static long scratchBytes(Op op, Tensor... inputs) {
    long bytes = 0;
    if (op instanceof MatMul) {
      for (Tensor x : inputs) {
        bytes += fits(x) ? 0 : Space.aligned(4 * x.size());
      }
    }
    return bytes;
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
    int outer = y.shape().rank() - 2;
    int[] dims = Arrays.copyOf(y.shape().dims(), outer);
    // The last axes that both walk by one stride are one batch; the others are gone through here.
    int batch = 1;
    while (outer > 0
        && first.walks(outer - 1, batch, dims)
        && second.walks(outer - 1, batch, dims)) {
      batch *= dims[--outer];
    }
    int[] index = new int[outer];
    long size = (long) y.dim(-2) * y.dim(-1);
    long to = address(y);
    do {
      multiply(
          first.at(index),
          first.stride(dims.length),
          second.at(index),
          second.stride(dims.length),
          to,
          y.dim(-2),
          y.dim(-1),
          a.dim(-1),
          batch);
      to += 4 * size * batch;
    } while (next(index, dims));
  }

  private static boolean next(int[] index, int[] dims) {
    for (int axis = index.length - 1; axis >= 0; axis--) {
      if (++index[axis] < dims[axis]) {
        return true;
      }
      index[axis] = 0;
    }
    return false;
  }

  /** A factor: its matrices, and elements from one to the next along the axes of the result. */
  private record Operand(Rows matrix, long[] strides) {
    /** Whether an axis goes on where the batch of the axes behind it ends. */
    boolean walks(int axis, int batch, int[] dims) {
      return axis == dims.length - 1 || strides[axis] == strides[dims.length - 1] * batch;
    }

    long stride(int axes) {
      return axes == 0 ? 0 : strides[axes - 1];
    }

    Rows at(int[] index) {
      long address = matrix.address;
      for (int axis = 0; axis < index.length; axis++) {
        address += 4 * index[axis] * strides[axis];
      }
      return new Rows(address, matrix.transposed, matrix.leading);
    }
  }

  private Operand operand(Tensor x, Tensor y, Space scratch) {
    long at = address(x);
    int[] strides = x.strides();
    if (!fits(x)) {
      at = scratch.take(4 * x.size());
      strides = x.shape().contiguousStrides();
      elements.copy(x, at);
    }
    int rank = x.shape().rank();
    int rows = x.dim(-2);
    int columns = x.dim(-1);
    boolean byRows = fits(rows, strides[rank - 2], columns, strides[rank - 1]);
    Rows matrix =
        byRows
            ? new Rows(at, false, rows == 1 ? columns : strides[rank - 2])
            : new Rows(at, true, columns == 1 ? rows : strides[rank - 1]);
    long[] outer = new long[y.shape().rank() - 2];
    int lead = y.shape().rank() - rank;
    for (int axis = lead; axis < outer.length; axis++) {
      outer[axis] = x.dim(axis - lead) == 1 ? 0 : strides[axis - lead];
    }
    return new Operand(matrix, outer);
  }

  /** Whether rows or columns are contiguous and do not overlap. */
  private static boolean fits(Tensor x) {
    return fits(x.dim(-2), x.stride(-2), x.dim(-1), x.stride(-1))
        || fits(x.dim(-1), x.stride(-1), x.dim(-2), x.stride(-2));
  }

  private static boolean fits(int rows, int row, int columns, int column) {
    return (columns == 1 || column == 1) && (rows == 1 || row >= columns);
  }
}
