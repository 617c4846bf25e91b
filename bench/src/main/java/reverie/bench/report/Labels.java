// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import java.awt.geom.Rectangle2D;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import reverie.app.report.Svg;

/** Dots with names beside them, each where it covers no other, or else a little way off. */
final class Labels {
  private static final int SIZE = 8;
  private static final double RADIUS = 3.5;
  private static final double GAP = 5;
  private static final int FARTHEST = 8;

  /** Of a letter, about. */
  private static final double LETTER = 0.55 * SIZE;

  private record Dot(double x, double y, String name, String title) {}

  private final Rectangle2D frame;
  private final List<Dot> dots = new ArrayList<>();
  private final List<Rectangle2D> taken = new ArrayList<>();

  /** Within a frame. */
  Labels(double left, double top, double right, double bottom) {
    frame = new Rectangle2D.Double(left, top, right - left, bottom - top);
  }

  /** Puts no name here. */
  void keepFree(double left, double top, double right, double bottom) {
    taken.add(new Rectangle2D.Double(left, top, right - left, bottom - top));
  }

  void add(double x, double y, String name, String title) {
    dots.add(new Dot(x, y, name, title));
    taken.add(new Rectangle2D.Double(x - RADIUS, y - RADIUS, 2 * RADIUS, 2 * RADIUS));
  }

  void draw(Svg svg, String dotColor, String ink, String leader) {
    dots.sort(Comparator.comparingDouble(Dot::y));
    for (Dot dot : dots) {
      Rectangle2D at = place(dot);
      double base = at.getMaxY() - 2;
      if (Math.abs(at.getCenterY() - dot.y) > SIZE) {
        double near = at.getX() > dot.x ? at.getX() - 1 : at.getMaxX() + 1;
        svg.line(dot.x, dot.y, near, at.getCenterY(), "stroke", leader, "stroke-width", 0.7);
      }
      boolean left = at.getX() < dot.x;
      RooflinePlot.word(svg, left ? at.getMaxX() : at.getX(), base, SIZE, ink, left, dot.name);
    }
    for (Dot dot : dots) {
      svg.begin("circle", "cx", dot.x, "cy", dot.y, "r", RADIUS, "fill", dotColor)
          .words("title", dot.title)
          .end("circle");
    }
  }

  /** The nearest free place on the right or on the left. */
  private Rectangle2D place(Dot dot) {
    for (int away = 0; away <= FARTHEST; away++) {
      for (int down : new int[] {away, -away}) {
        for (boolean right : new boolean[] {true, false}) {
          Rectangle2D at = beside(dot, right, down);
          if (frame.contains(at) && taken.stream().noneMatch(at::intersects)) {
            taken.add(at);
            return at;
          }
        }
      }
    }
    return beside(dot, true, 0);
  }

  private static Rectangle2D beside(Dot dot, boolean right, int down) {
    double width = LETTER * dot.name.length();
    double gap = GAP + Math.abs(down);
    double left = right ? dot.x + gap : dot.x - gap - width;
    return new Rectangle2D.Double(left, dot.y - SIZE / 2.0 + down * (SIZE + 1), width, SIZE);
  }
}
