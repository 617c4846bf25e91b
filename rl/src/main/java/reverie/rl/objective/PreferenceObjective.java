// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Optional;
import reverie.tensor.Tensor;

/**
 * An objective that learns from pairs of finished images of which somebody preferred one. Neither a
 * rollout nor a reward is needed: what it looks at is by how much the denoising loss of each image
 * differs from the reference model's, at the same timestep and with the same noise for both; or
 * minus the log-likelihood of each image in its place.
 */
public non-sealed interface PreferenceObjective extends Objective {
  /**
   * How log-likelihoods are found.
   *
   * @param steps of the probability flow
   * @param probes random vectors for its divergence; 0 for the exact one
   */
  record Likelihood(int steps, int probes) {}

  /** Present if log-likelihoods, in nats, stand in the place of denoising losses. */
  default Optional<Likelihood> likelihood() {
    return Optional.empty();
  }

  /**
   * The loss of each pair; the trainer minimises its mean.
   *
   * @param chosen {@code m_w - ref_w}: the denoising loss of the preferred image under the model
   *     minus that under the reference, mean over elements, {@code [n]}; gradients flow through it
   * @param rejected {@code m_l - ref_l}: the same for the other image
   * @return {@code [n]}
   */
  Tensor loss(Tensor chosen, Tensor rejected);
}
