// SPDX-License-Identifier: Apache-2.0
package reverie.app.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class PlotTest {
  @Test
  void placesPointsInsideTheFrame() {
    Plot plot =
        new Plot(
            "loss",
            "step",
            "",
            List.of(
                new Plot.Series(
                    "loss",
                    List.of(
                        Plot.Point.of(0, 1), Plot.Point.of(5, Double.NaN), Plot.Point.of(10, 0)),
                    false)));
    String svg = plot.toSvg();
    assertTrue(svg.contains("<polyline class=\"line\" points=\"58,"), svg);
    assertFalse(svg.contains("NaN"), svg);
  }

  @Test
  void isEmptyWithoutFinitePoints() {
    assertTrue(
        new Plot(
                "x",
                "",
                "",
                List.of(new Plot.Series("a", List.of(Plot.Point.of(0, Double.NaN)), true)))
            .isEmpty());
  }

  @Test
  void ticksAreRound() {
    assertEquals(
        List.of(0.0, 20.0, 40.0, 60.0, 80.0, 100.0), Axis.over(List.of(0.0, 100.0)).ticks());
    assertEquals(0, Axis.over(List.of(1.0, 100.0)).low());
    assertEquals(-5, Axis.over(List.of(-1.0, 99.0)).low(), 1e-12);
    assertEquals(104, Axis.over(List.of(0.0, 100.0)).high(), 1e-12);
    Axis small = Axis.over(List.of(0.962, 0.981));
    assertEquals("0.965", small.format(small.ticks().getFirst()));
    Axis constant = Axis.over(List.of(-3.0, -3.0));
    assertTrue(constant.low() < -3 && constant.high() > -3);
    assertTrue(constant.ticks().size() > 1);
    assertEquals("2.0e-5", Axis.over(List.of(0.0, 1e-4)).format(2e-5));
  }
}
