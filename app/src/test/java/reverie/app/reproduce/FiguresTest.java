// SPDX-License-Identifier: Apache-2.0
package reverie.app.reproduce;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import reverie.app.data.Estimate;

class FiguresTest {
  @Test
  void digitsAreThoseThatCount() {
    assertEquals("0.00", Figures.of(0, 3).substring(0, 4));
    assertEquals("0.123", Figures.of(0.12345, 3));
    assertEquals("1.23", Figures.of(1.2345, 3));
    assertEquals("-12.3", Figures.of(-12.345, 3));
    assertEquals("123456", Figures.of(123_456, 3));
    assertEquals("1.23e+06", Figures.of(1_234_567, 3));
    assertEquals("1.23e-04", Figures.of(0.00012345, 3));
    assertEquals("0.001", Figures.of(0.001, 3));
    assertEquals("–", Figures.of(Double.NaN, 3));
  }

  @Test
  void intervalsAndProbabilitiesMayBeUnknown() {
    assertEquals("2.00 [1.00, 3.00]", Figures.interval(new Estimate(2, 1, 3, 5)));
    assertEquals("2.00", Figures.interval(new Estimate(2, Double.NaN, Double.NaN, 1)));
    assertEquals("–", Figures.interval(new Estimate(Double.NaN, 1, 3, 0)));
    assertEquals("< 0.001", Figures.probability(0.0009));
    assertEquals("0.001", Figures.probability(0.001));
    assertEquals("–", Figures.probability(Double.NaN));
  }
}
