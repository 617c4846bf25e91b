// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import reverie.tensor.Tensor;

/** What an adapter adds to a weight, ΔW, or to what a linear layer makes with it. */
interface Adaptation {
  /** {@code weight + ΔW}. */
  Tensor ofWeight(Tensor weight);

  /** {@code y + x·ΔWᵀ}. */
  Tensor ofOutput(Tensor x, Tensor y);

  /** Whether that is fewer operations than ΔW and the gradient of the weight. */
  boolean addsToOutput();
}
