// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import reverie.tensor.ReverieException;

/**
 * Another reward in units of a fixed spread, {@code (score − mean)/deviation}, so that rewards of
 * different sizes can be added by {@link WeightedReward} and none drowns the others. Mean and
 * deviation are those of a reference, usually what the base model draws: a sum of such rewards is
 * the same function for every batch, before training and after it.
 */
public final class NormalizedReward implements Reward {
  private final Reward reward;
  private volatile Spread spread;

  /**
   * What scores of a reference have in common.
   *
   * @param mean their mean
   * @param deviation their standard deviation, above 0
   */
  public record Spread(double mean, double deviation) {
    /** Checks both. */
    public Spread {
      if (!Double.isFinite(mean) || !(deviation > 0) || Double.isInfinite(deviation)) {
        throw new ReverieException(
            "normalized reward: expected a finite mean and a deviation above 0, got "
                + mean
                + " and "
                + deviation);
      }
    }

    /**
     * Mean and population deviation of scores.
     *
     * @throws ReverieException if all are equal, so that there is no unit to measure in
     */
    public static Spread of(double... scores) {
      double mean = Arrays.stream(scores).average().orElse(Double.NaN);
      double deviation =
          Math.sqrt(Arrays.stream(scores).map(s -> (s - mean) * (s - mean)).average().orElse(0));
      // What is left of equal scores is rounding.
      if (deviation <= 1e-12 * Math.abs(mean)) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "normalized reward: all %d scores are %s, which gives no unit",
                scores.length,
                mean),
            "leave this reward as it is, or give its mean and deviation");
      }
      return new Spread(mean, deviation);
    }
  }

  /** A reward whose spread comes later, by {@link #calibrate}. */
  public NormalizedReward(Reward reward) {
    this.reward = reward;
  }

  /** A reward in units of this spread. */
  public NormalizedReward(Reward reward, Spread spread) {
    this.reward = reward;
    this.spread = spread;
  }

  /** The normalized rewards in a reward, itself included, in order. */
  public static List<NormalizedReward> within(Reward reward) {
    return Stream.concat(
            Stream.of(reward)
                .filter(NormalizedReward.class::isInstance)
                .map(NormalizedReward.class::cast),
            reward.parts().stream().flatMap(part -> within(part).stream()))
        .toList();
  }

  /** What is measured. */
  public Reward raw() {
    return reward;
  }

  /** Mean and deviation, if they are known. */
  public Optional<Spread> spread() {
    return Optional.ofNullable(spread);
  }

  /** Says what the unit is from now on. */
  public void calibrate(Spread reference) {
    spread = reference;
  }

  @Override
  public double[] score(RewardBatch batch) throws Exception {
    Spread unit = spread;
    if (unit == null) {
      throw new ReverieException(
          "reward " + reward.name() + ": there is no mean and deviation to normalize by",
          "finetune measures them on the base model; elsewhere give both");
    }
    double[] scores = RewardRunner.checked(reward, batch, reward.score(batch));
    return Arrays.stream(scores).map(s -> (s - unit.mean) / unit.deviation).toArray();
  }

  @Override
  public String name() {
    return "normalized " + reward.name();
  }

  @Override
  public List<Reward> parts() {
    return List.of(reward);
  }
}
