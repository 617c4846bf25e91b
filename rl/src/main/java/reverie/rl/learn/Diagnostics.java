// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import reverie.rl.Statistics;

/** What is counted while an epoch trains; every mean is NaN as long as nothing was counted. */
final class Diagnostics {
  private final long started = System.nanoTime();
  private long sampled = started;
  private long scored = started;
  private Statistics rewards = Statistics.NONE;
  private Statistics advantages = Statistics.NONE;
  private double loss;
  private double squaredLogRatio;
  private long clipped;
  private long decisions;
  private double smallestRatio = Double.POSITIVE_INFINITY;
  private double largestRatio = Double.NEGATIVE_INFINITY;
  private double firstDeviation = Double.NaN;
  private double kl;
  private long kls;
  private double effectiveSamples = Double.NaN;
  private double gradientNorm;
  private long updates;
  private final Map<String, double[]> more = new LinkedHashMap<>();

  /** The last sample so far is drawn. */
  void sampled() {
    sampled = System.nanoTime();
    scored = sampled;
  }

  /** The last reward has come. */
  void scored() {
    scored = System.nanoTime();
  }

  void addRewards(double[] reward, double[] advantage) {
    rewards = Statistics.of(reward);
    advantages = Statistics.of(advantage);
  }

  /** The log-probabilities of some decisions now and when they were made. */
  void addDecisions(double[] logProb, double[] oldLogProb, double clipRange) {
    for (int i = 0; i < logProb.length; i++) {
      boolean clipped = Math.abs(Math.exp(logProb[i] - oldLogProb[i]) - 1) > clipRange;
      addDecision(logProb[i], oldLogProb[i], clipped);
    }
  }

  /** The same of one decision, and whether the objective clipped it. */
  void addDecision(double logProb, double oldLogProb, boolean wasClipped) {
    double logRatio = logProb - oldLogProb;
    double ratio = Math.exp(logRatio);
    squaredLogRatio += logRatio * logRatio;
    clipped += wasClipped ? 1 : 0;
    smallestRatio = Math.min(smallestRatio, ratio);
    largestRatio = Math.max(largestRatio, ratio);
    decisions++;
    if (updates == 0) {
      double deviation = Math.abs(ratio - 1);
      firstDeviation =
          Double.isNaN(firstDeviation) || !(deviation <= firstDeviation)
              ? deviation
              : firstDeviation;
    }
  }

  /** One backward pass; its share of the update's loss. */
  void addLoss(double share) {
    loss += share;
  }

  void addKl(double[] perDecision) {
    for (double value : perDecision) {
      kl += value;
      kls++;
    }
  }

  void weights(double... weights) {
    double sum = Arrays.stream(weights).sum();
    effectiveSamples = sum * sum / Arrays.stream(weights).map(w -> w * w).sum();
  }

  void addUpdate(double norm) {
    gradientNorm += norm;
    updates++;
  }

  /** Largest |rho - 1| before the first update; NaN if the objective looks at no decisions. */
  double firstDeviation() {
    return firstDeviation;
  }

  boolean hasKl() {
    return kls > 0;
  }

  double loss() {
    return loss / updates;
  }

  double approximateKl() {
    return squaredLogRatio / decisions / 2;
  }

  double clipFraction() {
    return (double) clipped / decisions;
  }

  double smallestRatio() {
    return decisions == 0 ? Double.NaN : smallestRatio;
  }

  double largestRatio() {
    return decisions == 0 ? Double.NaN : largestRatio;
  }

  /** Mean per-step KL to the reference. */
  double kl() {
    return kl / kls;
  }

  double effectiveSamples() {
    return effectiveSamples;
  }

  double gradientNorm() {
    return gradientNorm / updates;
  }

  /**
   * Something that only some objectives can tell; its mean is reported under this name.
   *
   * @param values one for each thing that was looked at
   */
  void record(String name, double... values) {
    double[] sum = more.computeIfAbsent(name, _ -> new double[2]);
    sum[0] += Arrays.stream(values).sum();
    sum[1] += values.length;
  }

  /** Everything, once the epoch is over. */
  EpochReport report(int epoch, long allUpdates, long rewardQueries) {
    Map<String, Double> means = new LinkedHashMap<>();
    more.forEach((name, sum) -> means.put(name, sum[0] / sum[1]));
    return new EpochReport(
        epoch,
        allUpdates,
        rewardQueries,
        rewards,
        advantages,
        loss(),
        approximateKl(),
        clipFraction(),
        smallestRatio(),
        largestRatio(),
        firstDeviation(),
        kl(),
        effectiveSamples(),
        gradientNorm(),
        seconds(started, sampled),
        seconds(sampled, scored),
        seconds(scored, System.nanoTime()),
        means);
  }

  private static double seconds(long from, long to) {
    return (to - from) / 1e9;
  }
}
