// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Optional;
import reverie.tensor.Tensor;

/**
 * An objective that is a mean over (sample, step) of a function of the log-probability of that
 * decision. In the letters of the docs, {@code lp[b,t]} is the log-probability under the weights
 * being trained, {@code lp_old[b,t]} under those that drew the sample, {@code A[b]} the advantage.
 *
 * <p>Written with tensors of any shape, so that the same formula serves a micro-batch of decisions
 * and the whole matrix.
 */
public non-sealed interface StepObjective extends RolloutObjective {
  /**
   * The loss of each decision; the trainer minimises its mean.
   *
   * @param logProb lp, of any shape; gradients flow through it
   * @param oldLogProb lp_old, of the same shape
   * @param advantage A for each decision, of the same shape
   * @return one loss per decision
   */
  Tensor loss(Tensor logProb, Tensor oldLogProb, Tensor advantage);

  /**
   * How far the ratio {@code exp(lp - lp_old)} may stray from 1 before it counts as clipped;
   * infinite for never.
   */
  default double clipRange() {
    return Double.POSITIVE_INFINITY;
  }

  /** The KL weight that is used with it where a configuration names none; 0 for none. */
  default double usualKlWeight() {
    return 0;
  }

  /**
   * Whether {@code lp − lp_old} is {@code s·(lp − lp_old + ‖μ − μ_old‖²/(2s²))} for this loss, and
   * the loss of a step divided by its length; see {@link GrpoGuard}. For flows only.
   */
  default boolean guards() {
    return false;
  }

  /** What the run's KL weight multiplies. */
  default Penalty penalty() {
    return Penalty.GAUSSIAN_KL;
  }

  /**
   * The baseline that is learnt beside the policy and taken off the advantages, if there is one.
   */
  default Optional<ValueFunction> baseline() {
    return Optional.empty();
  }
}
