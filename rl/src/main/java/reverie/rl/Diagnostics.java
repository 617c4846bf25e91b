// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

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
  private double divergence;
  private long divergences;
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

  void earned(double[] reward, double[] advantage) {
    rewards = Statistics.of(reward);
    advantages = Statistics.of(advantage);
  }

  /** The log-probabilities of some decisions now and when they were made. */
  void decided(double[] logProb, double[] oldLogProb, double clipRange) {
    for (int i = 0; i < logProb.length; i++) {
      boolean clipped = Math.abs(Math.exp(logProb[i] - oldLogProb[i]) - 1) > clipRange;
      decided(logProb[i], oldLogProb[i], clipped);
    }
  }

  /** The same of one decision, and whether the objective clipped it. */
  void decided(double logProb, double oldLogProb, boolean wasClipped) {
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
  void lost(double share) {
    loss += share;
  }

  void diverged(double[] perDecision) {
    for (double value : perDecision) {
      divergence += value;
      divergences++;
    }
  }

  void weighted(double... weights) {
    double sum = Arrays.stream(weights).sum();
    effectiveSamples = sum * sum / Arrays.stream(weights).map(w -> w * w).sum();
  }

  void updated(double norm) {
    gradientNorm += norm;
    updates++;
  }

  /** Largest |rho - 1| before the first update; NaN if the objective looks at no decisions. */
  double firstDeviation() {
    return firstDeviation;
  }

  boolean knowsDivergence() {
    return divergences > 0;
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

  double divergence() {
    return divergence / divergences;
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
  void note(String name, double... values) {
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
        divergence(),
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
