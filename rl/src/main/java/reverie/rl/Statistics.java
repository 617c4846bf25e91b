// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.Arrays;
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
    double[] sorted = sorted(values);
    return new Statistics(
        values.length,
        mean(values),
        std(values, 0),
        sorted[0],
        ofSorted(sorted, 0.25),
        ofSorted(sorted, 0.5),
        ofSorted(sorted, 0.75),
        sorted[sorted.length - 1]);
  }

  /** The arithmetic mean. */
  public static double mean(double... values) {
    return Arrays.stream(values).sum() / values.length;
  }

  /**
   * The standard deviation, divided by {@code n - freedom}: 0 for the population's, 1 for the
   * sample's. Zero where there are too few values to say.
   */
  public static double std(double[] values, int freedom) {
    if (values.length <= freedom) {
      return 0;
    }
    double mean = mean(values);
    double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
    return Math.sqrt(squares / (values.length - freedom));
  }

  /**
   * The quantile {@code q} in [0, 1], interpolated linearly between order statistics as numpy does.
   */
  public static double quantile(double[] values, double q) {
    if (!(q >= 0 && q <= 1)) {
      throw new ReverieException("quantile: expected a value in [0, 1], got " + q);
    }
    return ofSorted(sorted(values), q);
  }

  private static double[] sorted(double[] values) {
    if (values.length == 0) {
      throw new ReverieException("statistics: expected at least one value, got none");
    }
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted;
  }

  private static double ofSorted(double[] sorted, double q) {
    double at = q * (sorted.length - 1);
    int below = (int) at;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
  }
}
