// SPDX-License-Identifier: Apache-2.0
package reverie.rl.choice;

import java.util.List;

/**
 * How much chance there is in the gradient of one pair: the root of the trace of its covariance
 * over the length of its mean. A mean over n pairs is off by this over √n of its length.
 *
 * @param ratio NaN if the mean cannot be told from 0
 * @param error its standard error, by the jackknife over batches
 */
public record GradientNoise(double ratio, double error) {
  /**
   * From the mean gradients of independent batches.
   *
   * @param pairs in each batch
   */
  public static GradientNoise of(List<double[]> gradients, int pairs) {
    int n = gradients.size();
    double[] sum = new double[gradients.getFirst().length];
    double squares = 0;
    for (double[] gradient : gradients) {
      for (int i = 0; i < sum.length; i++) {
        sum[i] += gradient[i];
        squares += gradient[i] * gradient[i];
      }
    }
    double all = ratio(dot(sum, sum), squares, n, pairs);
    double[] without = new double[n];
    double mean = 0;
    for (int b = 0; b < n; b++) {
      double[] own = gradients.get(b);
      double length = dot(own, own);
      double rest = dot(sum, sum) - 2 * dot(sum, own) + length;
      without[b] = ratio(rest, squares - length, n - 1, pairs);
      mean += without[b] / n;
    }
    double spread = 0;
    for (double value : without) {
      spread += (value - mean) * (value - mean);
    }
    return new GradientNoise(all, Math.sqrt(spread * (n - 1) / n));
  }

  /** From the squared length of the sum and the sum of squared lengths. */
  private static double ratio(double sum, double squares, int n, int pairs) {
    double variance = (squares - sum / n) / (n - 1);
    // The squared length of a mean is too large by its variance.
    double length = sum / ((double) n * n) - variance / n;
    return length > 0 ? Math.sqrt(pairs * variance / length) : Double.NaN;
  }

  private static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }
}
