// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.util.Arrays;

/**
 * Another reward's scores in units of their own spread: {@code (score − mean)/deviation} over the
 * batch, so that rewards of different sizes can be added by {@link WeightedReward} and none drowns
 * the others. Where all scores of a batch are equal they become 0.
 *
 * <p>What is normalised together is what is scored together: a batch of samples. With batches of a
 * few images the mean of a batch hides how good it was as a whole.
 */
public record NormalizedReward(Reward reward) implements Reward {
  @Override
  public double[] score(RewardBatch batch) throws Exception {
    double[] scores = RewardRunner.checked(reward, batch, reward.score(batch));
    double mean = Arrays.stream(scores).average().orElse(0);
    double deviation =
        Math.sqrt(Arrays.stream(scores).map(s -> (s - mean) * (s - mean)).average().orElse(0));
    // What is left of equal scores is rounding.
    boolean equal = deviation <= 1e-12 * Math.abs(mean);
    return Arrays.stream(scores).map(s -> equal ? 0 : (s - mean) / deviation).toArray();
  }

  @Override
  public String name() {
    return "normalized " + reward.name();
  }

  @Override
  public void close() {
    reward.close();
  }
}
