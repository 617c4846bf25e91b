// SPDX-License-Identifier: Apache-2.0
package reverie.autograd;

import reverie.tensor.Tensor;
import reverie.tensor.op.CustomOp;

/**
 * A custom operation with a gradient rule of its own; without one it is differentiated through its
 * definition. {@link GradCheck} tells whether the rule is right.
 */
public interface CustomGradient extends CustomOp {
  /**
   * The gradients of the inputs, written with tensor operations, so that it can be differentiated
   * again.
   *
   * @param inputs of the operation
   * @param outputs that it gave
   * @param gradients of the outputs; null where the loss does not depend on one
   * @return one for each input, null where there is none; repetitions by broadcasting are summed up
   *     by the caller
   */
  Tensor[] pullback(Tensor[] inputs, Tensor[] outputs, Tensor[] gradients);
}
