// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import reverie.rl.Statistics;
import reverie.tensor.ReverieException;

/**
 * RWR (Lee et al. 2023; Black et al. 2023, §4.1 and App. D): the denoising loss of the finished
 * samples, {@code w ||epsilon - epsilon_hat||²}, weighted by reward. It takes the denoising loss
 * for a log-likelihood, which it only approximates; with more than one update per rollout it drifts
 * further.
 *
 * @param weighting how rewards become weights
 * @param perPrompt whether rewards compete with those of the same prompt only (the paper), or with
 *     the whole epoch's
 * @param draws (timestep, noise) pairs per sample and update
 */
public record RewardWeightedRegression(Weighting weighting, boolean perPrompt, int draws)
    implements DenoisingObjective {

  /** How rewards become weights. */
  public sealed interface Weighting {}

  /**
   * {@code softmax(beta r) N}, of mean 1.
   *
   * @param beta the inverse temperature, in units of 1 / reward; 0.2 in the paper
   */
  public record Exponential(double beta) implements Weighting {
    /** Checks the temperature. */
    public Exponential {
      if (!(beta > 0 && Double.isFinite(beta))) {
        throw new ReverieException("rwr: expected a positive beta, got " + beta);
      }
    }
  }

  /**
   * 1 for the best, 0 for the rest: {@code 1[r >= quantile]}.
   *
   * @param quantile 0.9 in the paper: the best tenth is kept
   */
  public record Sparse(double quantile) implements Weighting {
    /** Checks the quantile. */
    public Sparse {
      if (!(quantile >= 0 && quantile <= 1)) {
        throw new ReverieException("rwr_sparse: expected a quantile in [0, 1], got " + quantile);
      }
    }
  }

  /** Checks the number of draws. */
  public RewardWeightedRegression {
    if (draws < 1) {
      throw new ReverieException("rwr: expected at least one draw per sample, got " + draws);
    }
  }

  @Override
  public String name() {
    return switch (weighting) {
      case Exponential _ -> "rwr";
      case Sparse _ -> "rwr_sparse";
    };
  }

  @Override
  public double[] weights(List<String> prompts, double[] rewards) {
    Map<String, List<Integer>> contexts = new HashMap<>();
    for (int i = 0; i < rewards.length; i++) {
      contexts.computeIfAbsent(perPrompt ? prompts.get(i) : "", _ -> new ArrayList<>()).add(i);
    }
    double[] weights = new double[rewards.length];
    for (List<Integer> context : contexts.values()) {
      double[] own = weights(context.stream().mapToDouble(i -> rewards[i]).toArray());
      for (int i = 0; i < own.length; i++) {
        weights[context.get(i)] = own[i];
      }
    }
    return weights;
  }

  private double[] weights(double[] rewards) {
    double[] weights = new double[rewards.length];
    switch (weighting) {
      case Exponential(double beta) -> {
        double max = Statistics.of(rewards).max();
        double sum = 0;
        for (int i = 0; i < rewards.length; i++) {
          weights[i] = Math.exp(beta * (rewards[i] - max));
          sum += weights[i];
        }
        for (int i = 0; i < rewards.length; i++) {
          weights[i] *= rewards.length / sum;
        }
      }
      case Sparse(double quantile) -> {
        double threshold = Statistics.quantile(rewards, quantile);
        for (int i = 0; i < rewards.length; i++) {
          weights[i] = rewards[i] >= threshold ? 1 : 0;
        }
      }
    }
    return weights;
  }
}
