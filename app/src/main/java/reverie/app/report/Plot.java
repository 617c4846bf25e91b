// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import java.util.regex.Matcher;

/**
 * A line plot as SVG, written by hand so that it takes the page's colours, light or dark, and any
 * width.
 *
 * @param title above the plot
 * @param xLabel below the horizontal axis
 * @param yLabel above the vertical axis
 * @param series the lines
 */
public record Plot(String title, String xLabel, String yLabel, List<Series> series) {
  private static final double WIDTH = 440;
  private static final double HEIGHT = 270;
  private static final double LEFT = 58;
  private static final double RIGHT = 14;
  private static final double TOP = 46;
  private static final double BOTTOM = 42;
  private static final double ROW = 17;

  /**
   * One line.
   *
   * @param label its name in the legend
   * @param points in order; points that are not finite are left out
   * @param path whether it is a way through the plane: arrows in its direction, dots with labels
   */
  public record Series(String label, List<Point> points, boolean path) {}

  /**
   * One point.
   *
   * @param x horizontal
   * @param y vertical
   * @param low lower end of y's confidence interval, or NaN
   * @param high upper end, or NaN
   * @param label what stands beside it; may be empty
   */
  public record Point(double x, double y, double low, double high, String label) {
    /**
     * A point without an interval.
     *
     * @param x horizontal
     * @param y vertical
     * @return the point
     */
    public static Point of(double x, double y) {
      return new Point(x, y, Double.NaN, Double.NaN, "");
    }

    boolean isFinite() {
      return Double.isFinite(x) && Double.isFinite(y);
    }

    boolean hasInterval() {
      return Double.isFinite(low) && Double.isFinite(high);
    }
  }

  /** Keeps what can be drawn. */
  public Plot {
    series =
        series.stream()
            .map(s ->
                new Series(
                    s.label(), s.points().stream().filter(Point::isFinite).toList(), s.path()))
            .filter(s -> !s.points().isEmpty())
            .toList();
  }

  /**
   * Whether nothing can be drawn.
   *
   * @return true without a single finite point
   */
  public boolean isEmpty() {
    return series.isEmpty();
  }

  /**
   * Draws the plot.
   *
   * @return an svg element
   */
  public String toSvg() {
    Axis x = Axis.over(values(Point::x));
    List<Double> heights = values(Point::y);
    series.stream()
        .flatMap(s -> s.points().stream())
        .filter(Point::hasInterval)
        .forEach(p -> heights.addAll(List.of(p.low(), p.high())));
    Axis y = Axis.over(heights);
    StringBuilder svg = new StringBuilder();
    svg.append(
        String.format(
            Locale.ROOT,
            "<svg class=\"plot\" viewBox=\"0 0 %s %s\" role=\"img\" aria-label=\"%s\">",
            number(WIDTH),
            number(HEIGHT + ROW * rowsBelow()),
            Html.escape(title)));
    text(svg, 0, 16, "title", title);
    grid(svg, x, y);
    text(svg, LEFT, TOP - 10, "label", yLabel);
    text(svg, WIDTH - RIGHT, HEIGHT - 6, "label end", xLabel);
    for (int i = 0; i < series.size(); i++) {
      draw(svg, series.get(i), i, x, y);
    }
    legend(svg);
    return svg.append("</svg>").toString();
  }

  private List<Double> values(ToDoubleFunction<Point> coordinate) {
    List<Double> values = new ArrayList<>();
    series.forEach(s -> s.points().forEach(p -> values.add(coordinate.applyAsDouble(p))));
    return values;
  }

  private void grid(StringBuilder svg, Axis x, Axis y) {
    for (double tick : y.ticks()) {
      double at = vertical(y, tick);
      line(svg, LEFT, at, WIDTH - RIGHT, at, "grid");
      text(svg, LEFT - 6, at + 4, "tick end", y.format(tick));
    }
    for (double tick : x.ticks()) {
      double at = horizontal(x, tick);
      line(svg, at, TOP, at, HEIGHT - BOTTOM, "grid");
      text(svg, at, HEIGHT - BOTTOM + 15, "tick middle", x.format(tick));
    }
  }

  private void draw(StringBuilder svg, Series line, int index, Axis x, Axis y) {
    svg.append("<g class=\"s").append(index % 8).append("\">");
    List<Point> band = line.points().stream().filter(Point::hasInterval).toList();
    if (line.path()) {
      for (Point p : band) {
        double at = horizontal(x, p.x());
        line(svg, at, vertical(y, p.low()), at, vertical(y, p.high()), "bar");
      }
    } else if (band.size() > 1) {
      StringBuilder points = new StringBuilder();
      band.forEach(p -> points.append(at(x, p.x(), y, p.high())));
      band.reversed().forEach(p -> points.append(at(x, p.x(), y, p.low())));
      svg.append("<polygon class=\"band\" points=\"")
          .append(points.toString().strip())
          .append("\"/>");
    }
    StringBuilder points = new StringBuilder();
    line.points().forEach(p -> points.append(at(x, p.x(), y, p.y())));
    svg.append("<polyline class=\"line\" points=\"")
        .append(points.toString().strip())
        .append("\"/>");
    if (line.path()) {
      for (int i = 1; i < line.points().size(); i++) {
        arrow(svg, line.points().get(i - 1), line.points().get(i), x, y);
      }
    }
    if (line.path() || line.points().size() <= 30) {
      double labelledX = -100;
      double labelledY = -100;
      for (Point p : line.points()) {
        double cx = horizontal(x, p.x());
        double cy = vertical(y, p.y());
        svg.append(
            String.format(
                Locale.ROOT,
                "<circle class=\"dot\" cx=\"%s\" cy=\"%s\" r=\"%s\"/>",
                number(cx),
                number(cy),
                line.path() ? "3.5" : "2"));
        if (!p.label().isEmpty() && Math.hypot(cx - labelledX, cy - labelledY) > 16) {
          labelledX = cx;
          labelledY = cy;
          boolean atRight = cx > WIDTH - RIGHT - 30;
          text(svg, atRight ? cx - 7 : cx + 7, cy - 6, atRight ? "point end" : "point", p.label());
        }
      }
    }
    svg.append("</g>");
  }

  /** A small triangle half way from one point to the next. */
  private void arrow(StringBuilder svg, Point from, Point to, Axis x, Axis y) {
    double x0 = horizontal(x, from.x());
    double y0 = vertical(y, from.y());
    double dx = horizontal(x, to.x()) - x0;
    double dy = vertical(y, to.y()) - y0;
    if (Math.hypot(dx, dy) < 14) {
      return;
    }
    svg.append(
        String.format(
            Locale.ROOT,
            "<path class=\"arrow\" d=\"M5 0L-4 4.5V-4.5Z\" transform=\"translate(%s %s) rotate(%s)\"/>",
            number(x0 + 0.55 * dx),
            number(y0 + 0.55 * dy),
            number(Math.toDegrees(Math.atan2(dy, dx)))));
  }

  /** In one line over the plot if it fits there, else in lines below. */
  private void legend(StringBuilder svg) {
    if (series.size() < 2) {
      return;
    }
    if (rowsBelow() > 0) {
      double start = LEFT;
      double y = HEIGHT + ROW - 4;
      for (int i = 0; i < series.size(); i++) {
        double width = legendWidth(series.get(i));
        if (start > LEFT && start + width > WIDTH) {
          start = LEFT;
          y += ROW;
        }
        legend(svg, i, start, y);
        start += width;
      }
      return;
    }
    double start = WIDTH - RIGHT;
    for (int i = series.size() - 1; i >= 0; i--) {
      start -= legendWidth(series.get(i));
      legend(svg, i, start + 16, TOP - 10);
    }
  }

  private void legend(StringBuilder svg, int index, double x, double y) {
    svg.append("<g class=\"s").append(index % 8).append("\">");
    text(svg, x + 11, y, "label", series.get(index).label());
    svg.append(
        String.format(
            Locale.ROOT,
            "<circle class=\"dot\" cx=\"%s\" cy=\"%s\" r=\"4\"/></g>",
            number(x),
            number(y - 4)));
  }

  private static double legendWidth(Series line) {
    return 6.4 * line.label().length() + 27;
  }

  private int rowsBelow() {
    double all = series.stream().mapToDouble(Plot::legendWidth).sum();
    if (series.size() < 2 || all + 6.4 * yLabel.length() < WIDTH - LEFT - RIGHT) {
      return 0;
    }
    int rows = 1;
    double start = LEFT;
    for (Series line : series) {
      double width = legendWidth(line);
      if (start > LEFT && start + width > WIDTH) {
        start = LEFT;
        rows++;
      }
      start += width;
    }
    return rows;
  }

  /**
   * Draws the plot as a file of its own.
   *
   * @return an SVG document
   */
  public String toSvgFile() {
    String height = number(HEIGHT + ROW * rowsBelow());
    return toSvg()
            .replaceFirst(
                "<svg ",
                String.format(
                    Locale.ROOT,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%s\" height=\"%s\" ",
                    number(1.5 * WIDTH),
                    number(1.5 * (HEIGHT + ROW * rowsBelow()))))
            .replaceFirst(
                ">",
                Matcher.quoteReplacement(
                    String.format(
                        Locale.ROOT,
                        "><style>%s</style><rect width=\"%s\" height=\"%s\" fill=\"var(--page)\"/>",
                        Html.css(),
                        number(WIDTH),
                        height)))
        + "\n";
  }

  private static String at(Axis x, double px, Axis y, double py) {
    return number(horizontal(x, px)) + "," + number(vertical(y, py)) + " ";
  }

  private static double horizontal(Axis axis, double value) {
    return LEFT + axis.fraction(value) * (WIDTH - LEFT - RIGHT);
  }

  private static double vertical(Axis axis, double value) {
    return HEIGHT - BOTTOM - axis.fraction(value) * (HEIGHT - TOP - BOTTOM);
  }

  private static void line(
      StringBuilder svg, double x1, double y1, double x2, double y2, String style) {
    svg.append(
        String.format(
            Locale.ROOT,
            "<line class=\"%s\" x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/>",
            style,
            number(x1),
            number(y1),
            number(x2),
            number(y2)));
  }

  private static void text(StringBuilder svg, double x, double y, String style, String text) {
    svg.append(
        String.format(
            Locale.ROOT,
            "<text class=\"%s\" x=\"%s\" y=\"%s\">%s</text>",
            style,
            number(x),
            number(y),
            Html.escape(text)));
  }

  private static String number(double value) {
    String text = String.format(Locale.ROOT, "%.1f", value);
    return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
  }
}
