// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import java.util.Locale;
import reverie.app.data.Estimate;

/** How the report writes numbers; a dash for those that are not known. */
final class Figures {
  private Figures() {}

  /** A mean with its interval, if it has one. */
  static String interval(Estimate e) {
    if (Double.isNaN(e.mean())) {
      return "–";
    }
    return Double.isNaN(e.low())
        ? of(e.mean(), 3)
        : String.format(
            Locale.ROOT, "%s [%s, %s]", of(e.mean(), 3), of(e.low(), 3), of(e.high(), 3));
  }

  /** A p value. */
  static String probability(double p) {
    return Double.isNaN(p) ? "–" : p < 1e-3 ? "< 0.001" : String.format(Locale.ROOT, "%.3f", p);
  }

  /** So many significant digits, without an exponent where one can do without. */
  static String of(double value, int digits) {
    if (!Double.isFinite(value)) {
      return "–";
    }
    double size = Math.abs(value);
    if (size != 0 && (size < 1e-3 || size >= 1e6)) {
      return String.format(Locale.ROOT, "%." + (digits - 1) + "e", value);
    }
    int whole = size < 1 ? 0 : (int) Math.floor(Math.log10(size)) + 1;
    return String.format(Locale.ROOT, "%." + Math.max(0, digits - whole) + "f", value);
  }
}
