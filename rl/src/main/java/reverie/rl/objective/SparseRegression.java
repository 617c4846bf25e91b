// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Arrays;
import reverie.rl.Statistics;
import reverie.tensor.ReverieException;

/**
 * Sparse RWR (Black et al. 2023, App. D): {@link RewardWeightedRegression} with weight 1 for the
 * best samples and 0 for the rest, {@code 1[r >= quantile]}.
 *
 * @param quantile 0.9 in the paper: the best tenth is kept
 * @param perPrompt whether rewards compete with those of the same prompt only (the paper), or with
 *     the whole epoch's
 * @param draws (timestep, noise) pairs per sample and update
 */
public record SparseRegression(double quantile, boolean perPrompt, int draws)
    implements WeightedRegression {
  /** Checks the ranges. */
  public SparseRegression {
    if (!(quantile >= 0 && quantile <= 1)) {
      throw new ReverieException("rwr_sparse: expected a quantile in [0, 1], got " + quantile);
    }
    Checks.draws("rwr_sparse", draws);
  }

  /** The best tenth per prompt, 4 draws. */
  public SparseRegression() {
    this(0.9, true, 4);
  }

  @Override
  public String name() {
    return "rwr_sparse";
  }

  @Override
  public double[] weights(double... rewards) {
    double threshold = Statistics.quantile(rewards, quantile);
    return Arrays.stream(rewards).map(reward -> reward >= threshold ? 1 : 0).toArray();
  }
}
