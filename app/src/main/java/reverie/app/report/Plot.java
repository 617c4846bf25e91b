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
    Svg svg =
        new Svg()
            .begin(
                "svg",
                "class",
                "plot",
                "viewBox",
                "0 0 " + Svg.number(WIDTH) + " " + Svg.number(HEIGHT + ROW * rowsBelow()),
                "role",
                "img",
                "aria-label",
                title);
    svg.text(0, 16, title, "class", "title");
    grid(svg, x, y);
    svg.text(LEFT, TOP - 10, yLabel, "class", "label");
    svg.text(WIDTH - RIGHT, HEIGHT - 6, xLabel, "class", "label end");
    for (int i = 0; i < series.size(); i++) {
      draw(svg, series.get(i), i, x, y);
    }
    legend(svg);
    return svg.end("svg").toString();
  }

  private List<Double> values(ToDoubleFunction<Point> coordinate) {
    List<Double> values = new ArrayList<>();
    series.forEach(s -> s.points().forEach(p -> values.add(coordinate.applyAsDouble(p))));
    return values;
  }

  private void grid(Svg svg, Axis x, Axis y) {
    for (double tick : y.ticks()) {
      double at = vertical(y, tick);
      svg.line(LEFT, at, WIDTH - RIGHT, at, "class", "grid");
      svg.text(LEFT - 6, at + 4, y.format(tick), "class", "tick end");
    }
    for (double tick : x.ticks()) {
      double at = horizontal(x, tick);
      svg.line(at, TOP, at, HEIGHT - BOTTOM, "class", "grid");
      svg.text(at, HEIGHT - BOTTOM + 15, x.format(tick), "class", "tick middle");
    }
  }

  private void draw(Svg svg, Series line, int index, Axis x, Axis y) {
    svg.begin("g", "class", "s" + index % 8);
    List<Point> band = line.points().stream().filter(Point::hasInterval).toList();
    if (line.path()) {
      for (Point p : band) {
        double at = horizontal(x, p.x());
        svg.line(at, vertical(y, p.low()), at, vertical(y, p.high()), "class", "bar");
      }
    } else if (band.size() > 1) {
      StringBuilder points = new StringBuilder();
      band.forEach(p -> points.append(at(x, p.x(), y, p.high())));
      band.reversed().forEach(p -> points.append(at(x, p.x(), y, p.low())));
      svg.element("polygon", "class", "band", "points", points.toString().strip());
    }
    StringBuilder points = new StringBuilder();
    line.points().forEach(p -> points.append(at(x, p.x(), y, p.y())));
    svg.element("polyline", "class", "line", "points", points.toString().strip());
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
        svg.element("circle", "class", "dot", "cx", cx, "cy", cy, "r", line.path() ? 3.5 : 2.0);
        if (!p.label().isEmpty() && Math.hypot(cx - labelledX, cy - labelledY) > 16) {
          labelledX = cx;
          labelledY = cy;
          boolean atRight = cx > WIDTH - RIGHT - 30;
          svg.text(
              atRight ? cx - 7 : cx + 7,
              cy - 6,
              p.label(),
              "class",
              atRight ? "point end" : "point");
        }
      }
    }
    svg.end("g");
  }

  /** A small triangle half way from one point to the next. */
  private void arrow(Svg svg, Point from, Point to, Axis x, Axis y) {
    double x0 = horizontal(x, from.x());
    double y0 = vertical(y, from.y());
    double dx = horizontal(x, to.x()) - x0;
    double dy = vertical(y, to.y()) - y0;
    if (Math.hypot(dx, dy) < 14) {
      return;
    }
    svg.element(
        "path",
        "class",
        "arrow",
        "d",
        "M5 0L-4 4.5V-4.5Z",
        "transform",
        String.format(
            Locale.ROOT,
            "translate(%s %s) rotate(%s)",
            Svg.number(x0 + 0.55 * dx),
            Svg.number(y0 + 0.55 * dy),
            Svg.number(Math.toDegrees(Math.atan2(dy, dx)))));
  }

  /** In one line over the plot if it fits there, else in lines below. */
  private void legend(Svg svg) {
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

  private void legend(Svg svg, int index, double x, double y) {
    svg.begin("g", "class", "s" + index % 8);
    svg.text(x + 11, y, series.get(index).label(), "class", "label");
    svg.element("circle", "class", "dot", "cx", x, "cy", y - 4, "r", 4).end("g");
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
    String height = Svg.number(HEIGHT + ROW * rowsBelow());
    return toSvg()
            .replaceFirst(
                "<svg ",
                String.format(
                    Locale.ROOT,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%s\" height=\"%s\" ",
                    Svg.number(1.5 * WIDTH),
                    Svg.number(1.5 * (HEIGHT + ROW * rowsBelow()))))
            .replaceFirst(
                ">",
                Matcher.quoteReplacement(
                    String.format(
                        Locale.ROOT,
                        "><style>%s</style><rect width=\"%s\" height=\"%s\" fill=\"var(--page)\"/>",
                        Html.css(),
                        Svg.number(WIDTH),
                        height)))
        + "\n";
  }

  private static String at(Axis x, double px, Axis y, double py) {
    return Svg.number(horizontal(x, px)) + "," + Svg.number(vertical(y, py)) + " ";
  }

  private static double horizontal(Axis axis, double value) {
    return LEFT + axis.fraction(value) * (WIDTH - LEFT - RIGHT);
  }

  private static double vertical(Axis axis, double value) {
    return HEIGHT - BOTTOM - axis.fraction(value) * (HEIGHT - TOP - BOTTOM);
  }
}
