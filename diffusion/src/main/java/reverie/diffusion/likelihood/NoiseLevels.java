// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

import reverie.diffusion.NoiseSchedule;
import reverie.tensor.ReverieException;

/**
 * A noise schedule between its timesteps. The level of noise is λ = log(√(1−ᾱ)/√ᾱ); the timestep is
 * a smooth rising function of it, exact at whole timesteps: cubic Hermite pieces whose slopes at
 * the knots are chosen so that no piece turns back (Fritsch and Butland 1984).
 */
public final class NoiseLevels {
  private final double[] levels;
  private final double[] slopes;

  private NoiseLevels(double[] levels, double[] slopes) {
    this.levels = levels;
    this.slopes = slopes;
  }

  /** The levels of a schedule with at least two timesteps. */
  public static NoiseLevels of(NoiseSchedule schedule) {
    int n = schedule.steps();
    if (n < 2) {
      throw new ReverieException("noise levels: expected at least 2 timesteps, got " + n);
    }
    if (schedule.signalToNoise(n - 1) == 0) {
      throw new ReverieException(
          "noise levels: nothing of the sample is left at timestep "
              + (n - 1)
              + ", where the level is infinite",
          "a schedule of rescale_betas_zero_snr has no likelihood by its flow");
    }
    double[] levels = new double[n];
    for (int t = 0; t < n; t++) {
      levels[t] = -0.5 * Math.log(schedule.signalToNoise(t));
    }
    double[] slopes = new double[n];
    slopes[0] = 1 / (levels[1] - levels[0]);
    slopes[n - 1] = 1 / (levels[n - 1] - levels[n - 2]);
    for (int t = 1; t < n - 1; t++) {
      double before = levels[t] - levels[t - 1];
      double after = levels[t + 1] - levels[t];
      // The harmonic mean of both slopes 1/before and 1/after, the shorter piece counting more.
      slopes[t] =
          3 * (before + after) / ((2 * after + before) * before + (after + 2 * before) * after);
    }
    return new NoiseLevels(levels, slopes);
  }

  /** λ of timestep 0. */
  public double lowest() {
    return levels[0];
  }

  /** λ of the last timestep. */
  public double highest() {
    return levels[levels.length - 1];
  }

  /** The timestep of a level, whole or between two; levels outside are those at the ends. */
  public double timestep(double level) {
    if (level <= lowest()) {
      return 0;
    }
    if (level >= highest()) {
      return levels.length - 1;
    }
    int low = 0;
    int high = levels.length - 1;
    while (high - low > 1) {
      int middle = (low + high) >>> 1;
      if (levels[middle] <= level) {
        low = middle;
      } else {
        high = middle;
      }
    }
    double width = levels[high] - levels[low];
    double u = (level - levels[low]) / width;
    double v = 1 - u;
    return low + u * u * (3 - 2 * u) + width * u * v * (v * slopes[low] - u * slopes[high]);
  }

  /** The level of a timestep that need not be whole. */
  public double level(double timestep) {
    if (!(timestep >= 0 && timestep <= levels.length - 1)) {
      throw new ReverieException(
          "noise levels: expected a timestep from 0 to "
              + (levels.length - 1)
              + ", got "
              + timestep);
    }
    int whole = (int) timestep;
    if (whole == timestep) {
      return levels[whole];
    }
    double low = levels[whole];
    double high = levels[whole + 1];
    // Bisection to the last bit: the function rises.
    for (double middle = low + (high - low) / 2;
        middle > low && middle < high;
        middle = low + (high - low) / 2) {
      if (timestep(middle) <= timestep) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** ᾱ at a level: {@code 1/(1 + e^2λ)}. */
  public static double signal(double level) {
    return 1 / (1 + Math.exp(2 * level));
  }

  /** 1 − ᾱ at a level: {@code 1/(1 + e^−2λ)}. */
  public static double noise(double level) {
    return 1 / (1 + Math.exp(-2 * level));
  }
}
