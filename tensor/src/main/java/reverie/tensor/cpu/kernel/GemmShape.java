// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Memory;

/**
 * C[m, n] = A·B, where A is [m, k] and B [k, n], with the distances, in floats, between neighbours
 * of a row or a column. C's rows follow one another.
 */
public record GemmShape(int m, int n, int k, long aRow, long aColumn, long bRow, long bColumn) {

  /** x·weightᵀ of so many rows; the weight is [out, in]. */
  public static GemmShape linear(int rows, int out, int in) {
    return new GemmShape(rows, out, in, in, 1, 1, in);
  }

  /** One of the products of a batch, which are {@code batch} in number. */
  public static GemmShape of(Tensor a, Tensor b, Tensor y) {
    return new GemmShape(
        y.dim(-2), y.dim(-1), a.dim(-1), a.stride(-2), a.stride(-1), b.stride(-2), b.stride(-1));
  }

  /** A batch of products with the same B, whose rows of A lie one after another, as one product. */
  public GemmShape flattened(int batch) {
    return new GemmShape(batch * m, n, k, k, 1, bRow, bColumn);
  }

  /** The address of each matrix of x that y's batches need: leading axes broadcast. */
  public static long[] addresses(Tensor x, Tensor y, int batch) {
    long[] out = new long[batch];
    int lead = y.shape().rank() - x.shape().rank();
    for (int i = 0; i < batch; i++) {
      long address = Memory.address(x);
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

  public long flops() {
    return 2L * m * n * k;
  }
}
