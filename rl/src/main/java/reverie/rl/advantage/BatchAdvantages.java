// SPDX-License-Identifier: Apache-2.0
package reverie.rl.advantage;

import java.util.Arrays;
import java.util.List;
import reverie.rl.Statistics;

/**
 * {@code (r - mean) / (std + 1e-8)} over all samples of the epoch, population std: DDPO without
 * prompt tracking. With several prompts it mostly measures which prompt pays better, which no
 * policy can change.
 */
public record BatchAdvantages() implements Advantages {
  private static final double EPSILON = 1e-8;

  @Override
  public String name() {
    return "batch";
  }

  @Override
  public double[] of(List<String> prompts, double[] rewards) {
    Advantages.check(name(), prompts, rewards);
    double mean = Statistics.mean(rewards);
    double scale = Statistics.std(rewards, 0) + EPSILON;
    return Arrays.stream(rewards).map(r -> (r - mean) / scale).toArray();
  }
}
