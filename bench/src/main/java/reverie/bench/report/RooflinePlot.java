// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import java.util.List;
import java.util.Locale;
import reverie.app.report.Svg;
import reverie.bench.measure.Roofline;

/**
 * Operations under the roof of the machine: arithmetic a second against arithmetic per byte, both
 * on logarithmic axes. What lies at the roof cannot be faster by multiply-adds of vectors:
 * convolutions by Winograd's algorithm, which needs fewer, and products on the tile unit lie above.
 */
final class RooflinePlot {
  private static final int WIDTH = 760;
  private static final int HEIGHT = 460;
  private static final double LEFT = 60;
  private static final double RIGHT = WIDTH - 20;
  private static final double TOP = 44;
  private static final double BOTTOM = HEIGHT - 46;
  private static final double MIN_INTENSITY = 0.05;
  private static final double MAX_INTENSITY = 1000;
  private static final double MIN_GFLOPS = 0.5;
  private static final double MAX_GFLOPS = 2000;
  private static final String INK = "#333333";
  private static final String FAINT = "#dddddd";
  private static final String ROOF = "#b03030";
  private static final String DOT = "#2060b0";
  private static final String LEADER = "#888888";

  private RooflinePlot() {}

  /** An SVG document. */
  static String draw(List<OperationRow> operations, Roofline roofline) {
    Svg svg =
        new Svg()
            .begin(
                "svg",
                "xmlns",
                "http://www.w3.org/2000/svg",
                "viewBox",
                "0 0 " + WIDTH + " " + HEIGHT,
                "font-family",
                "sans-serif")
            .element("rect", "width", "100%", "height", "100%", "fill", "#fff");
    word(svg, LEFT, 20, 15, INK, false, "Operations under the roofline");
    for (double tick = 0.1; tick < MAX_INTENSITY; tick *= 10) {
      svg.line(x(tick), TOP, x(tick), BOTTOM, "stroke", FAINT, "stroke-width", 1);
      word(svg, x(tick), BOTTOM + 16, 11, INK, false, number(tick));
    }
    for (double tick = 1; tick <= MAX_GFLOPS; tick *= 10) {
      svg.line(LEFT, y(tick), RIGHT, y(tick), "stroke", FAINT, "stroke-width", 1);
      word(svg, LEFT - 6, y(tick) + 4, 11, INK, true, number(tick));
    }
    word(svg, LEFT, TOP - 8, 11, INK, false, "GFLOP/s");
    word(svg, RIGHT, HEIGHT - 10, 11, INK, true, "floating-point operations per byte");
    double ridge = roofline.gflops() / roofline.gigabytes();
    double begin = Math.max(MIN_INTENSITY, MIN_GFLOPS / roofline.gigabytes());
    svg.line(
        x(begin),
        y(begin * roofline.gigabytes()),
        x(ridge),
        y(roofline.gflops()),
        "stroke",
        ROOF,
        "stroke-width",
        2);
    svg.line(
        x(ridge),
        y(roofline.gflops()),
        RIGHT,
        y(roofline.gflops()),
        "stroke",
        ROOF,
        "stroke-width",
        2);
    word(
        svg,
        x(ridge) - 4,
        y(roofline.gflops()) - 6,
        11,
        ROOF,
        true,
        String.format(
            Locale.ROOT, "%.0f GFLOP/s with %d threads", roofline.gflops(), roofline.threads()));
    // Beside the foot of the slope, below it: no operation is that slow.
    double foot = 1.4 * begin;
    word(
        svg,
        x(foot) + 18,
        y(foot * roofline.gigabytes()) + 4,
        11,
        ROOF,
        false,
        String.format(Locale.ROOT, "%.1f GB/s", roofline.gigabytes()));
    Labels labels = new Labels(LEFT, TOP, RIGHT, BOTTOM);
    labels.keepFree(x(ridge), y(roofline.gflops()) - 2, RIGHT, y(roofline.gflops()) + 2);
    labels.keepFree(x(ridge) - 160, y(roofline.gflops()) - 18, x(ridge), y(roofline.gflops()) - 2);
    for (OperationRow row : operations) {
      if (row.intensity() > 0 && row.gflops() > 0) {
        double x = x(Math.clamp(row.intensity(), MIN_INTENSITY, MAX_INTENSITY));
        double y = y(Math.clamp(row.gflops(), MIN_GFLOPS, MAX_GFLOPS));
        labels.add(x, y, row.label().replaceFirst("[\\[(].*", ""), row.label());
      }
    }
    labels.draw(svg, DOT, INK, LEADER);
    return svg.end("svg") + "\n";
  }

  /** Words that begin, or end, here. */
  static void word(
      Svg svg, double x, double y, int size, String color, boolean ends, String words) {
    svg.text(x, y, words, "font-size", size, "fill", color, "text-anchor", ends ? "end" : "start");
  }

  private static double x(double intensity) {
    return LEFT
        + (RIGHT - LEFT)
            * Math.log(intensity / MIN_INTENSITY)
            / Math.log(MAX_INTENSITY / MIN_INTENSITY);
  }

  private static double y(double gflops) {
    return BOTTOM
        - (BOTTOM - TOP) * Math.log(gflops / MIN_GFLOPS) / Math.log(MAX_GFLOPS / MIN_GFLOPS);
  }

  private static String number(double tick) {
    return tick < 0.5 ? "0.1" : Long.toString(Math.round(tick));
  }
}
