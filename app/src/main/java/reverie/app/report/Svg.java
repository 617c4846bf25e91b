// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import java.util.Locale;

/** An SVG drawing, element by element. Attributes are names and values in turn. */
public final class Svg {
  private final StringBuilder text = new StringBuilder();

  /** Begins an element that has others inside. */
  public Svg begin(String name, Object... attributes) {
    tag(name, attributes);
    text.append('>');
    return this;
  }

  /** Ends it. */
  public Svg end(String name) {
    text.append("</").append(name).append('>');
    return this;
  }

  /** An element with nothing inside. */
  public Svg element(String name, Object... attributes) {
    tag(name, attributes);
    text.append("/>");
    return this;
  }

  /** An element with words inside. */
  public Svg words(String name, String words, Object... attributes) {
    begin(name, attributes);
    text.append(Html.escape(words));
    return end(name);
  }

  /** Words that begin here; or end, by an attribute. */
  public Svg text(double x, double y, String words, Object... attributes) {
    tag("text", attributes);
    attributes("x", x, "y", y);
    text.append('>').append(Html.escape(words));
    return end("text");
  }

  /** A straight line. */
  public Svg line(double x1, double y1, double x2, double y2, Object... attributes) {
    tag("line", attributes);
    attributes("x1", x1, "y1", y1, "x2", x2, "y2", y2);
    text.append("/>");
    return this;
  }

  /** A coordinate with one digit after the point, or none. */
  public static String number(double value) {
    String digits = String.format(Locale.ROOT, "%.1f", value);
    return digits.endsWith(".0") ? digits.substring(0, digits.length() - 2) : digits;
  }

  private void tag(String name, Object... attributes) {
    text.append('<').append(name);
    attributes(attributes);
  }

  private void attributes(Object... attributes) {
    for (int i = 0; i < attributes.length; i += 2) {
      Object value = attributes[i + 1];
      text.append(' ')
          .append(attributes[i])
          .append("=\"")
          .append(value instanceof Double d ? number(d) : Html.escape(value.toString()))
          .append('"');
    }
  }

  /** What was drawn. */
  @Override
  public String toString() {
    return text.toString();
  }
}
