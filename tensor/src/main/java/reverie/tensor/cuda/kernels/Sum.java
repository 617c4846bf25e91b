// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import reverie.tensor.Tensor;

/**
 * A product and what completes it, the struct of the same name in {@code sums.h}: x + (bias +
 * common) + (residual + its bias).
 *
 * @param x the product
 * @param bias [c] or [rows, c] for a result [n, …, c], where image i gets row i modulo rows; 0 for
 *     none
 * @param rows of the bias
 * @param stride elements from one row of the bias to the next
 * @param common [c], added to each row of the bias; 0 for none
 * @param residual null for none
 * @param residualBias [c]; 0 for none
 */
record Sum(
    Numbers x, long bias, int rows, int stride, long common, Numbers residual, long residualBias) {
  private static final Numbers NONE = new Numbers(0, false);

  /** Numbers alone. */
  static Sum of(Numbers x) {
    return new Sum(x, 0, 1, 0, 0, null, 0);
  }

  /** With bias and residual if they are there. */
  static Sum of(Numbers x, Tensor bias, Tensor residual) {
    Numbers added = residual == null ? null : Numbers.of(residual);
    if (bias == null) {
      return new Sum(x, 0, 1, 0, 0, added, 0);
    }
    boolean several = bias.shape().rank() > 1 && bias.dim(0) > 1;
    return several
        ? new Sum(x, address(bias), bias.dim(0), bias.stride(0), 0, added, 0)
        : new Sum(x, address(bias), 1, 0, 0, added, 0);
  }

  /** The inputs of an operation from one on, bias and residual, as far as there are any. */
  static Sum of(Numbers x, Tensor[] inputs, int from) {
    return of(
        x,
        inputs.length > from ? inputs[from] : null,
        inputs.length > from + 1 ? inputs[from + 1] : null);
  }

  /** The same with something added to each row of the bias. */
  Sum with(Tensor shift) {
    return new Sum(x, bias, rows, stride, address(shift), residual, residualBias);
  }

  /** The same with something added to each row of the residual. */
  Sum withResidualBias(Tensor shift) {
    return new Sum(x, bias, rows, stride, common, residual, address(shift));
  }

  /** Whether nothing is added. */
  boolean isComplete() {
    return bias == 0 && residual == null;
  }

  /** Elements that share a row of the bias, of a result like y. */
  long image(Tensor y) {
    return rows == 1 ? y.dim(-1) : y.size() / y.dim(0);
  }

  /** Whether four elements of a row of c can be read at once. */
  boolean isAligned(int c) {
    return (c | stride) % 4 == 0
        && (bias | common | residualBias) % 16 == 0
        && x.isAligned()
        && (residual == null || residual.isAligned());
  }

  /** Adds the struct, for so many elements of a result like y, from one on. */
  Arguments add(Arguments arguments, Tensor y, long first, long n) {
    int c = y.dim(-1);
    arguments.read(x.plus(first), n).read(bias, 4L * rows * c).read(common, 4L * c);
    arguments.read(residual == null ? NONE : residual.plus(first), n).read(residualBias, 4L * c);
    return arguments.int32(c).int32(Math.toIntExact(image(y))).int32(rows).int32(stride);
  }

  /** Adds a struct of nothing. */
  static Arguments addNone(Arguments arguments) {
    arguments.read(NONE, 0).pointer(0).pointer(0).read(NONE, 0).pointer(0);
    return arguments.int32(0).int32(0).int32(0).int32(0);
  }
}
