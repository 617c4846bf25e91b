// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.kernels.Products.Rows;

/**
 * A factor of a batched product: its first matrix, and elements from one of the batch to the next.
 */
record Operand(Rows matrix, long stride) {
  /**
   * A factor of a product.
   *
   * @param at where it lies, by these strides
   * @param y the result
   */
  static Operand of(long at, Tensor x, Shape shape, int[] strides, Tensor y) {
    int rows = x.dim(-2);
    int columns = x.dim(-1);
    int row = strides[strides.length - 2];
    int column = strides[strides.length - 1];
    Rows matrix =
        fits(rows, row, columns, column)
            ? new Rows(at, false, false, rows == 1 ? columns : row)
            : new Rows(at, false, true, columns == 1 ? rows : column);
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
  static Shape copied(Tensor x, Tensor y) {
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
