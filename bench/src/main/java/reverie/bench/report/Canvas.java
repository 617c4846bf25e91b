// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.geom.Ellipse2D;
import java.awt.geom.Line2D;
import java.awt.image.BufferedImage;
import java.util.Locale;

/** A plot of lines, dots and words, drawn at once as SVG and as pixels. */
final class Canvas {
  private static final int SCALE = 2;

  private final StringBuilder svg = new StringBuilder();
  private final BufferedImage pixels;
  private final Graphics2D graphics;

  Canvas(int width, int height) {
    svg.append(
        String.format(
            Locale.ROOT,
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">
            <rect width="100%%" height="100%%" fill="#fff"/>
            """,
            width,
            height));
    pixels = new BufferedImage(width * SCALE, height * SCALE, BufferedImage.TYPE_INT_RGB);
    graphics = pixels.createGraphics();
    graphics.scale(SCALE, SCALE);
    graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
    graphics.setRenderingHint(
        RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, width, height);
  }

  void line(double x1, double y1, double x2, double y2, String color, double width) {
    svg.append(
        text(
            "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"%s\" stroke-width=\"%.1f\"/>\n",
            x1, y1, x2, y2, color, width));
    graphics.setColor(Color.decode(color));
    graphics.setStroke(new BasicStroke((float) width));
    graphics.draw(new Line2D.Double(x1, y1, x2, y2));
  }

  void dot(double x, double y, double radius, String color, String title) {
    svg.append(
        text(
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\"><title>%s</title></circle>\n",
            x, y, radius, color, escaped(title)));
    graphics.setColor(Color.decode(color));
    graphics.fill(new Ellipse2D.Double(x - radius, y - radius, 2 * radius, 2 * radius));
  }

  void word(double x, double y, int size, String color, boolean toTheLeft, String word) {
    svg.append(
        text(
            "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" fill=\"%s\"%s>%s</text>\n",
            x, y, size, color, toTheLeft ? " text-anchor=\"end\"" : "", escaped(word)));
    graphics.setColor(Color.decode(color));
    graphics.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, size));
    double width = toTheLeft ? graphics.getFontMetrics().stringWidth(word) : 0;
    graphics.drawString(word, (float) (x - width), (float) y);
  }

  String svg() {
    return svg + "</svg>\n";
  }

  BufferedImage pixels() {
    graphics.dispose();
    return pixels;
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  private static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
