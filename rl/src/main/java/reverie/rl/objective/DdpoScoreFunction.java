// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import reverie.tensor.Tensor;

/**
 * DDPO_SF (Black et al. 2023, §4.2): {@code -A lp}, the score function estimator (REINFORCE) of the
 * gradient of the expected reward. Unbiased while the weights are those that drew the samples: one
 * update per rollout.
 */
public record DdpoScoreFunction() implements StepObjective {
  @Override
  public String name() {
    return "ddpo_sf";
  }

  @Override
  public Tensor loss(Tensor logProb, Tensor oldLogProb, Tensor advantage) {
    return advantage.mul(logProb).neg();
  }
}
