// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import reverie.tensor.Tensor;

/**
 * An objective that is any function of the matrix of log-probabilities {@code lp[b,t]}, of what it
 * was when the chains were drawn and what it is under the reference model, of the rewards, and of
 * which chains belong to the same prompt. It may couple all steps and all chains of an update.
 *
 * <p>Its gradient by the weights is {@code Σ (∂L/∂lp[b,t]) ∂lp[b,t]}: the loss is differentiated on
 * the small matrix alone, and the chains then one step at a time, whatever the loss.
 */
public non-sealed interface ChainObjective extends RolloutObjective {
  /**
   * What is known of an update's B chains with T decisions each. Every group of chains is whole.
   *
   * @param oldLogProb lp_old {@code [B, T]}, under the weights at the beginning of the epoch
   * @param referenceLogProb lp_ref {@code [B, T]}, under the reference model
   * @param rewards r of each chain
   * @param groups for each chain the number of its group: the samples drawn for one prompt
   */
  record Chains(Tensor oldLogProb, Tensor referenceLogProb, double[] rewards, int[] groups) {}

  /**
   * The loss of an update, one element.
   *
   * @param logProb lp {@code [B, T]}, float64; gradients flow through it
   */
  Tensor loss(Tensor logProb, Chains chains);

  /** Whether the objective holds this decision for clipped; for the logs. */
  default boolean clips(double logProb, double oldLogProb, double referenceLogProb) {
    return false;
  }
}
