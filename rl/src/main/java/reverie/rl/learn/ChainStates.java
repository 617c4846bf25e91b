// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import reverie.tensor.Tensor;

/** The latents that some samples passed through, and what they were drawn for. */
public interface ChainStates {
  /** The latent of each sample before the step given for it, {@code [samples.length, h, w, c]}. */
  Tensor before(int[] samples, int[] steps);

  /**
   * The contexts of these samples, {@code [samples.length, tokens, dim]}, or null for a model
   * without conditions.
   */
  Tensor contexts(int... samples);
}
