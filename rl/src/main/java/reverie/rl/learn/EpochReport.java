// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.LinkedHashMap;
import java.util.Map;
import reverie.rl.Statistics;

/**
 * What an epoch did, in numbers. What was not measured is NaN and missing from {@link #metrics()}.
 *
 * @param epoch from 0
 * @param updates optimizer steps since the run began
 * @param rewardQueries samples scored since the run began
 * @param rewards of this epoch's samples
 * @param advantages of this epoch's samples
 * @param loss mean over the epoch's updates
 * @param approximateKl {@code mean((lp - lp_old)²) / 2}, in units of the policy's log-probability
 * @param clipFraction share of decisions whose ratio left the trust region
 * @param smallestRatio least {@code exp(lp - lp_old)} seen
 * @param largestRatio largest {@code exp(lp - lp_old)} seen
 * @param ratioDeviation largest {@code |rho - 1|} before the epoch's first update, where it should
 *     be 0
 * @param klToBase mean per-step Gaussian KL to the base model, per element of an image
 * @param effectiveSamples {@code (sum w)² / sum w²} of the weights of an objective that has some
 * @param gradientNorm mean over the updates, before clipping
 * @param samplingSeconds spent drawing samples
 * @param rewardSeconds spent waiting for rewards after the last sample was drawn
 * @param trainingSeconds spent on updates
 * @param more what only this objective can tell, by the names used in logs
 */
public record EpochReport(
    int epoch,
    long updates,
    long rewardQueries,
    Statistics rewards,
    Statistics advantages,
    double loss,
    double approximateKl,
    double clipFraction,
    double smallestRatio,
    double largestRatio,
    double ratioDeviation,
    double klToBase,
    double effectiveSamples,
    double gradientNorm,
    double samplingSeconds,
    double rewardSeconds,
    double trainingSeconds,
    Map<String, Double> more) {

  /** Copies what only this objective can tell. */
  public EpochReport {
    more = java.util.Collections.unmodifiableMap(new LinkedHashMap<>(more));
  }

  /** Everything measured under the names used in logs, in a fixed order. */
  public Map<String, Double> metrics() {
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put("epoch", (double) epoch);
    metrics.put("updates", (double) updates);
    metrics.put("reward_queries", (double) rewardQueries);
    put(metrics, "reward", rewards);
    put(metrics, "advantage", advantages);
    metrics.put("loss", loss);
    metrics.put("approximate_kl", approximateKl);
    metrics.put("clip_fraction", clipFraction);
    metrics.put("ratio_min", smallestRatio);
    metrics.put("ratio_max", largestRatio);
    metrics.put("ratio_self_test_deviation", ratioDeviation);
    metrics.put("kl_to_base", klToBase);
    metrics.put("effective_samples", effectiveSamples);
    metrics.put("gradient_norm", gradientNorm);
    metrics.put("sampling_seconds", samplingSeconds);
    metrics.put("reward_wait_seconds", rewardSeconds);
    metrics.put("training_seconds", trainingSeconds);
    metrics.putAll(more);
    metrics.values().removeIf(value -> value.isNaN());
    return metrics;
  }

  private static void put(Map<String, Double> metrics, String name, Statistics statistics) {
    metrics.put(name + "_mean", statistics.mean());
    metrics.put(name + "_std", statistics.std());
    metrics.put(name + "_min", statistics.min());
    metrics.put(name + "_q25", statistics.lowerQuartile());
    metrics.put(name + "_median", statistics.median());
    metrics.put(name + "_q75", statistics.upperQuartile());
    metrics.put(name + "_max", statistics.max());
  }
}
