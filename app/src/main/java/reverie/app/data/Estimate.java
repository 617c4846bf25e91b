// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.commons.math3.distribution.TDistribution;
import org.apache.commons.math3.stat.StatUtils;
import org.apache.commons.math3.stat.interval.ConfidenceInterval;
import org.apache.commons.math3.stat.interval.IntervalUtils;

/**
 * A mean with its 95 % confidence interval: the form in which every measured figure is reported.
 *
 * @param mean the mean of the observations
 * @param low lower end of the interval
 * @param high upper end of the interval
 * @param n number of observations
 */
public record Estimate(double mean, double low, double high, int n) {
  private static final double CONFIDENCE = 0.95;

  /**
   * Estimates a proportion by Wilson's score interval, which stays within [0, 1] and does not
   * collapse when all or none succeed.
   *
   * @param successes number of successes
   * @param n number of trials, at least 1
   * @return the share of successes
   */
  public static Estimate proportion(int successes, int n) {
    ConfidenceInterval interval = IntervalUtils.getWilsonScoreInterval(n, successes, CONFIDENCE);
    return new Estimate(
        (double) successes / n, interval.getLowerBound(), interval.getUpperBound(), n);
  }

  /**
   * Estimates the mean of independent observations by Student's t.
   *
   * @param observations at least 2
   * @return their mean
   */
  public static Estimate mean(double... observations) {
    int n = observations.length;
    double mean = StatUtils.mean(observations);
    double quantile =
        new TDistribution(null, n - 1).inverseCumulativeProbability((1 + CONFIDENCE) / 2);
    double half = quantile * Math.sqrt(StatUtils.variance(observations, mean) / n);
    return new Estimate(mean, mean - half, mean + half, n);
  }

  /**
   * The form in which summaries are written.
   *
   * @return mean, ci95_low, ci95_high and n; null where nothing was measured
   */
  public Map<String, Object> toMap() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("mean", finite(mean));
    map.put("ci95_low", finite(low));
    map.put("ci95_high", finite(high));
    map.put("n", n);
    return map;
  }

  /** JSON has no NaN. */
  private static Double finite(double value) {
    return Double.isFinite(value) ? value : null;
  }
}
