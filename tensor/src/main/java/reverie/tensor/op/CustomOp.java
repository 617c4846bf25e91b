// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import java.util.Optional;
import reverie.tensor.TensorType;
import reverie.tensor.spi.HostKernel;

/**
 * The door for operations of your own: give types and a decomposition, and the operation runs, is
 * differentiated and is checked like the built-in ones. A kernel makes it faster on the processor;
 * a gradient rule, {@code reverie.autograd.CustomGradient}, makes its gradient faster everywhere.
 */
public non-sealed interface CustomOp extends Fused {
  /**
   * A kernel for inputs of these types, in float32 on the processor; the definition runs where
   * there is none, and on other devices.
   */
  default Optional<HostKernel> kernel(List<TensorType> inputs) {
    return Optional.empty();
  }
}
