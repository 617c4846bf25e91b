// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * An axis with round numbers at its ticks.
 *
 * @param low where it begins
 * @param high where it ends
 * @param step from tick to tick: 1, 2 or 5 times a power of ten
 */
record Axis(double low, double high, double step) {
  private static final int TARGET_TICKS = 5;

  /** The axis that shows all values with a little air. */
  static Axis over(List<Double> values) {
    double low = values.stream().mapToDouble(Double::doubleValue).min().orElse(0);
    double high = values.stream().mapToDouble(Double::doubleValue).max().orElse(1);
    double span = high - low;
    if (span < 1e-6 * Math.max(Math.abs(low), Math.abs(high)) || span == 0) {
      span = low == 0 ? 1 : Math.abs(low) * 0.1;
      low -= span / 2;
      high += span / 2;
    }
    double air = 0.04 * span;
    // A quantity that is never negative should not get an axis that is.
    double start = low >= 0 && low - air < 0 ? 0 : low - air;
    return new Axis(start, high + air, niceStep(span / TARGET_TICKS));
  }

  private static double niceStep(double raw) {
    double power = Math.pow(10, Math.floor(Math.log10(raw)));
    double factor = raw / power;
    return power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
  }

  double fraction(double value) {
    return (value - low) / (high - low);
  }

  List<Double> ticks() {
    List<Double> ticks = new ArrayList<>();
    for (long i = (long) Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
      ticks.add(i * step);
    }
    return ticks;
  }

  String format(double tick) {
    double largest = Math.max(Math.abs(low), Math.abs(high));
    if (largest >= 1e6 || largest < 1e-3) {
      return tick == 0
          ? "0"
          : String.format(Locale.ROOT, "%.1e", tick).replace("e-0", "e-").replace("e+0", "e");
    }
    int decimals = (int) Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    return String.format(Locale.ROOT, "%." + decimals + "f", tick == 0 ? 0.0 : tick);
  }
}
