// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import reverie.tensor.ReverieException;

class VarianceComponentsTest {
  @Test
  void agreesWithTheTextbook() {
    // Means 2, 6 and 4 with variances 1, 1 and 4: within 2; their means vary by 4.
    VarianceComponents variance =
        VarianceComponents.of(
            List.of(new double[] {1, 2, 3}, new double[] {5, 6, 7}, new double[] {2, 4, 6}), 1);
    assertEquals(2, variance.within().mean(), 1e-12);
    assertEquals(4 - 2 / 3.0, variance.between().mean(), 1e-12);
    assertEquals((10 / 3.0) / (16 / 3.0), variance.share().mean(), 1e-12);
  }

  @Test
  void findsTheDeviationsThatMadeTheRewards() {
    Random random = new Random(3);
    List<double[]> rewards = new ArrayList<>();
    for (int prompt = 0; prompt < 200; prompt++) {
      double center = 3 * random.nextGaussian();
      rewards.add(random.doubles(8, 0, 1).map(_ -> center + 2 * random.nextGaussian()).toArray());
    }
    VarianceComponents variance = VarianceComponents.of(rewards, 1);
    assertTrue(variance.within().low() < 4 && variance.within().high() > 4, variance::toString);
    assertTrue(variance.between().low() < 9 && variance.between().high() > 9, variance::toString);
    // 4·√(2/1400) is the standard error of a variance of 4 with 200·7 degrees of freedom.
    double half = 1.96 * 4 * Math.sqrt(2 / 1400.0);
    Estimate within = variance.within();
    assertEquals(half, within.mean() - within.low(), 0.1 * half);
    assertEquals(half, within.high() - within.mean(), 0.1 * half);
  }

  @Test
  void onePromptHasNothingBetween() {
    VarianceComponents variance = VarianceComponents.of(List.of(new double[] {1, 3, 5, 7}), 1);
    assertEquals(20 / 3.0, variance.within().mean(), 1e-12);
    assertTrue(variance.within().low() < 20 / 3.0 && variance.within().high() > 5);
    assertTrue(Double.isNaN(variance.between().mean()));
    assertThrows(ReverieException.class, () -> VarianceComponents.of(List.of(new double[] {1}), 1));
    assertThrows(
        ReverieException.class,
        () -> VarianceComponents.of(List.of(new double[] {1, 2}, new double[] {1, 2, 3}), 1));
  }
}
