// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import reverie.tensor.Tensor;

/**
 * What is normalised, the struct of the same name in {@code sums.h}: numbers that are there, or a
 * sum that the norm carries out.
 *
 * @param sum null if x is there
 * @param x of their shape
 * @param to where the numbers are, or where others want to have them
 */
record Source(Sum sum, Tensor x, Result to) {
  static Source of(Tensor x) {
    return new Source(null, x, Result.of(x));
  }

  /** Whether four elements of a row can be read at once. */
  boolean isAligned() {
    int c = x.dim(-1);
    return c % 4 == 0 && to.isAligned() && (sum == null || sum.isAligned(c));
  }

  /**
   * Adds the struct.
   *
   * @param first whether nobody has read the numbers before
   */
  Arguments add(Arguments arguments, boolean first) {
    if (sum == null || to.wide() != 0 && !first) {
      return Sum.addNone(arguments.read(to.wide(), 4 * x.size()).pointer(0));
    }
    Result own = first ? to : new Result(0, 0);
    return sum.add(arguments.write(own, x.size()), x, 0, x.size());
  }
}
