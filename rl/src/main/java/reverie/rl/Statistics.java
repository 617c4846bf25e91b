// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import org.apache.commons.math3.stat.StatUtils;
import org.apache.commons.math3.stat.descriptive.rank.Percentile;
import org.apache.commons.math3.stat.descriptive.rank.Percentile.EstimationType;
import reverie.tensor.ReverieException;

/**
 * The shape of a set of numbers, as logged for rewards and advantages.
 *
 * @param std population standard deviation (divided by n)
 * @param lowerQuartile the 0.25 quantile
 * @param upperQuartile the 0.75 quantile
 */
public record Statistics(
    int count,
    double mean,
    double std,
    double min,
    double lowerQuartile,
    double median,
    double upperQuartile,
    double max) {

  /** Of no values at all: every number is NaN. */
  public static final Statistics NONE =
      new Statistics(
          0, Double.NaN, Double.NaN, Double.NaN, Double.NaN, Double.NaN, Double.NaN, Double.NaN);

  /** Describes at least one value. */
  public static Statistics of(double... values) {
    Percentile quantiles = quantiles(values);
    return new Statistics(
        values.length,
        mean(values),
        std(values, 0),
        StatUtils.min(values),
        quantiles.evaluate(25),
        quantiles.evaluate(50),
        quantiles.evaluate(75),
        StatUtils.max(values));
  }

  /** The arithmetic mean. */
  public static double mean(double... values) {
    return StatUtils.mean(values);
  }

  /**
   * The standard deviation, divided by {@code n - freedom}: 0 for the population's, 1 for the
   * sample's. Zero where there are too few values to say.
   */
  public static double std(double[] values, int freedom) {
    if (values.length <= freedom) {
      return 0;
    }
    double squares = StatUtils.populationVariance(values) * values.length;
    return Math.sqrt(squares / (values.length - freedom));
  }

  /**
   * The quantile {@code q} in [0, 1], interpolated linearly between order statistics as numpy does.
   */
  public static double quantile(double[] values, double q) {
    if (!(q >= 0 && q <= 1)) {
      throw new ReverieException("quantile: expected a value in [0, 1], got " + q);
    }
    return q == 0 ? StatUtils.min(values) : quantiles(values).evaluate(100 * q);
  }

  private static Percentile quantiles(double... values) {
    if (values.length == 0) {
      throw new ReverieException("statistics: expected at least one value, got none");
    }
    Percentile percentile = new Percentile().withEstimationType(EstimationType.R_7);
    percentile.setData(values);
    return percentile;
  }
}
