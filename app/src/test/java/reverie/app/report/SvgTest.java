// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class SvgTest {
  @Test
  void writesElementsWithEscapedWordsAndShortNumbers() {
    assertEquals(
        "<g class=\"a &quot;b&quot;\"><line stroke=\"red\" x1=\"0\" y1=\"0.3\" x2=\"10\" y2=\"-1.5\"/>"
            + "<text fill=\"blue\" x=\"1\" y=\"2\">1 &lt; 2 &amp; 3</text><title>x</title>"
            + "<circle r=\"3.5\"/></g>",
        new Svg()
            .begin("g", "class", "a \"b\"")
            .line(0, 0.26, 10, -1.5, "stroke", "red")
            .text(1, 2, "1 < 2 & 3", "fill", "blue")
            .words("title", "x")
            .element("circle", "r", 3.5)
            .end("g")
            .toString());
  }
}
