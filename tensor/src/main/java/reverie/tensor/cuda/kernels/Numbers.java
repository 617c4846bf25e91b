// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Pool;

/**
 * Numbers in memory, the struct of the same name in {@code halves.h}.
 *
 * @param half whether they are bfloat16, else float32
 */
record Numbers(long address, boolean half) {
  static Numbers of(Tensor tensor) {
    return new Numbers(Pool.address(tensor), Staging.isHalf(tensor));
  }

  /** The address of a later one. */
  Numbers plus(long elements) {
    return new Numbers(address + elements * bytes(), half);
  }

  /** Bytes of one. */
  int bytes() {
    return half ? 2 : 4;
  }

  /** Whether four of them can be moved at once. */
  boolean isAligned() {
    return address % (4 * bytes()) == 0;
  }
}
