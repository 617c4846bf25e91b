// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import reverie.rl.Statistics;
import reverie.tensor.ReverieException;

/**
 * RWR (Lee et al. 2023; Black et al. 2023, §4.1 and App. D): the denoising loss of the finished
 * samples, {@code w ||epsilon - epsilon_hat||²}, weighted by reward: {@code w = softmax(beta r) N},
 * of mean 1. It takes the denoising loss for a log-likelihood, which it only approximates; with
 * more than one update per rollout it drifts further.
 *
 * @param beta the inverse temperature, in units of 1 / reward; 0.2 in the paper
 * @param perPrompt whether rewards compete with those of the same prompt only (the paper), or with
 *     the whole epoch's
 * @param draws (timestep, noise) pairs per sample and update
 */
public record RewardWeightedRegression(double beta, boolean perPrompt, int draws)
    implements WeightedRegression {
  /** Checks the ranges. */
  public RewardWeightedRegression {
    if (!(beta > 0 && Double.isFinite(beta))) {
      throw new ReverieException("rwr: expected a positive beta, got " + beta);
    }
    Checks.draws("rwr", draws);
  }

  /** The paper's temperature, per prompt, 4 draws. */
  public RewardWeightedRegression() {
    this(0.2, true, 4);
  }

  @Override
  public String name() {
    return "rwr";
  }

  @Override
  public double[] weights(double... rewards) {
    double[] weights = new double[rewards.length];
    double max = Statistics.of(rewards).max();
    double sum = 0;
    for (int i = 0; i < rewards.length; i++) {
      weights[i] = Math.exp(beta * (rewards[i] - max));
      sum += weights[i];
    }
    for (int i = 0; i < rewards.length; i++) {
      weights[i] *= rewards.length / sum;
    }
    return weights;
  }
}
