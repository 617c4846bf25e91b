// SPDX-License-Identifier: Apache-2.0
package reverie.bench.measure;

import java.util.Arrays;
import java.util.stream.IntStream;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/**
 * How many times as long one thing takes as another, from pairs of times that were taken next to
 * each other, so that what slows the machine down for a while slows both.
 *
 * @param median of the pairs' ratios
 * @param low lower end of its 95 % bootstrap interval
 * @param high upper end
 */
public record Ratio(double median, double low, double high) {
  private static final int RESAMPLES = 10_000;

  /**
   * The ratio {@code longer/shorter} of paired times. The interval is the same for the same times.
   */
  public static Ratio of(double[] longer, double[] shorter) {
    if (longer.length != shorter.length || longer.length == 0) {
      throw new ReverieException(
          "ratio: expected pairs of times, got " + longer.length + " and " + shorter.length);
    }
    double[] ratios =
        IntStream.range(0, longer.length).mapToDouble(i -> longer[i] / shorter[i]).toArray();
    int n = ratios.length;
    Rng rng = Rng.of(1);
    double[] medians =
        IntStream.range(0, RESAMPLES)
            .mapToDouble(r -> {
              double[] drawn = new double[n];
              Arrays.setAll(drawn, i -> ratios[rng.below((long) r * n + i, n)]);
              return median(drawn);
            })
            .sorted()
            .toArray();
    return new Ratio(
        median(ratios), medians[(int) (0.025 * RESAMPLES)], medians[(int) (0.975 * RESAMPLES) - 1]);
  }

  /** The middle of some numbers. */
  public static double median(double... values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int n = sorted.length;
    return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  }
}
