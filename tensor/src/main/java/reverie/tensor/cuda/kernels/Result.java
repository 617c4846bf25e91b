// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import reverie.tensor.Tensor;

/**
 * Where results go, the struct of the same name in {@code halves.h}.
 *
 * @param wide as float32; 0 for nowhere
 * @param half as bfloat16; 0 for nowhere
 */
record Result(long wide, long half) {
  static Result of(Tensor y) {
    return Staging.isHalf(y) ? new Result(0, address(y)) : new Result(address(y), 0);
  }

  /**
   * The first output.
   *
   * @param declared how many outputs the operation has; another one is the first one as bfloat16
   */
  static Result first(Tensor[] outputs, int declared) {
    return outputs.length > declared
        ? new Result(address(outputs[0]), address(outputs[declared]))
        : of(outputs[0]);
  }

  /** The same without float32. */
  Result withoutWide() {
    return new Result(0, half);
  }

  /** Where a later element goes. */
  Result plus(long elements) {
    return new Result(wide == 0 ? 0 : wide + 4 * elements, half == 0 ? 0 : half + 2 * elements);
  }

  /** Whether four elements can be written at once. */
  boolean isAligned() {
    return (wide | 2 * half) % 16 == 0;
  }
}
