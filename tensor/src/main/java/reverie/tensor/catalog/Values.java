// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import reverie.tensor.Rng;

/**
 * How the values of an input are drawn, so that the operation is defined there and, for gradients,
 * smooth.
 */
@FunctionalInterface
public interface Values {
  /** This many values; the same for the same sequence. */
  double[] draw(Rng rng, int count);

  /** Normal with mean 0 and this standard deviation. */
  static Values normal(double deviation) {
    return each(u -> deviation * Math.sqrt(-2 * Math.log1p(-u[0])) * Math.cos(2 * Math.PI * u[1]));
  }

  /** Uniform between two bounds. */
  static Values uniform(double low, double high) {
    return each(u -> low + (high - low) * u[0]);
  }

  /** Normal, but no nearer than {@code gap} to any of these points, where a function has a kink. */
  static Values apartFrom(double gap, double... kinks) {
    DoubleUnaryOperator push =
        x -> {
          for (double kink : kinks) {
            if (Math.abs(x - kink) < gap) {
              x += x < kink ? -gap : gap;
            }
          }
          return x;
        };
    return (rng, count) -> Arrays.stream(normal(1).draw(rng, count)).map(push).toArray();
  }

  /** Whole multiples of {@code step} between ±20 steps, plus {@code shift}. */
  static Values grid(double step, double shift) {
    return each(u -> step * Math.floor(41 * u[0] - 20) + shift);
  }

  /**
   * All different, at least 0.1 apart: a maximum is unique and stays where it is when a value moves
   * a little.
   */
  static Values distinct() {
    return (rng, count) ->
        Arrays.stream(rng.permutation(count)).mapToDouble(i -> 0.1 * (i - count / 2)).toArray();
  }

  /** Whole numbers from 0 to {@code bound − 1}. */
  static Values below(int bound) {
    return each(u -> Math.floor(bound * u[0]));
  }

  /** The first of these values. */
  static Values of(double... values) {
    return (_, count) -> Arrays.copyOf(values, count);
  }

  private static Values each(Draw draw) {
    return (rng, count) -> {
      double[] out = new double[count];
      for (int i = 0; i < count; i++) {
        out[i] = draw.from(rng.uniform(2L * i), rng.uniform(2L * i + 1));
      }
      return out;
    };
  }

  /** One value from uniform numbers in [0, 1). */
  @FunctionalInterface
  interface Draw {
    /** The value. */
    double from(double... uniforms);
  }
}
