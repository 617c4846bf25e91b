// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.math.MathContext;
import org.junit.jupiter.api.Test;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class NoiseScheduleTest {
  private static final NoiseSchedule STABLE = SchedulerConfig.stableDiffusion().schedule();
  private static final NoiseSchedule LINEAR = NoiseSchedule.linear(1000, 1e-4, 0.02);

  @Test
  void scaledLinearIsThatOfStableDiffusion() {
    int[] t = {0, 1, 21, 41, 501, 521, 961, 981, 999};
    double[] exact = {
      0.99915,
      0.998296027838451,
      0.980380748101371,
      0.960872787605254,
      0.274999066850132,
      0.249044925348702,
      0.00728172714094298,
      0.00577550013949575,
      0.00466009851307724
    };
    double[] single = {
      0.999149978,
      0.998296022,
      0.980380654,
      0.96087265,
      0.274998844,
      0.249044701,
      0.00728172204,
      0.0057754959,
      0.00466009509
    };
    NoiseSchedule rounded = STABLE.inSinglePrecision();
    for (int i = 0; i < t.length; i++) {
      assertEquals(exact[i], STABLE.alphaBar(t[i]), 1e-12 * exact[i]);
      assertEquals(single[i], rounded.alphaBar(t[i]), 1e-6 * single[i]);
      assertEquals((float) rounded.alphaBar(t[i]), rounded.alphaBar(t[i]));
    }
    assertEquals((float) 0.1, rounded.withZeroTerminalSnr().round(0.1));
    assertEquals(0.1, STABLE.withZeroTerminalSnr().round(0.1));
  }

  @Test
  void everyTimestepHasAnEqualShareOfChance() {
    for (int t : new int[] {0, 1, 500, 998, 999}) {
      assertEquals(t, STABLE.timestepAt((t + 0.01) / 1000));
      assertEquals(t, STABLE.timestepAt((t + 0.99) / 1000));
    }
    assertEquals(999, STABLE.timestepAt(1));
  }

  @Test
  void linearAndCosineMatchDiffusers() {
    assertEquals(0.9999, LINEAR.alphaBar(0), 1e-15);
    assertEquals(0.999780092072072, LINEAR.alphaBar(1), 1e-14);
    assertEquals(0.0777966583650239, LINEAR.alphaBar(500), 1e-14);
    assertEquals(4.03582976537568e-05, LINEAR.alphaBar(999), 1e-17);

    NoiseSchedule cosine = NoiseSchedule.squaredCosine(1000).inSinglePrecision();
    assertEquals(0.999958694, cosine.alphaBar(0), 1e-7);
    assertEquals(0.492285043, cosine.alphaBar(500), 1e-6);
    assertEquals(2.42876627e-06, cosine.alphaBar(998), 1e-11);
    assertEquals(2.42873499e-09, cosine.alphaBar(999), 1e-14);
    double last = NoiseSchedule.squaredCosine(1000).alphaBar(999);
    assertEquals(0.001 * NoiseSchedule.squaredCosine(1000).alphaBar(998), last, 1e-13 * last);
  }

  @Test
  void sigmoidRunsFromStartToEnd() {
    NoiseSchedule sigmoid = NoiseSchedule.sigmoid(1000, 1e-4, 0.02);
    double first = 1e-4 + 0.0199 / (1 + Math.exp(6));
    double last = 1e-4 + 0.0199 / (1 + Math.exp(-6));
    assertEquals(first, 1 - sigmoid.alphaBar(0), 1e-15);
    assertEquals(last, 1 - sigmoid.alphaBar(999) / sigmoid.alphaBar(998), 1e-14);
  }

  @Test
  void noiseVarianceKeepsItsDigits() {
    BigDecimal kept = BigDecimal.ONE;
    double[] betas = {1e-9, 2e-9, 3e-3, 0.5};
    NoiseSchedule schedule = NoiseSchedule.ofBetas(betas);
    for (int t = 0; t < betas.length; t++) {
      kept = kept.multiply(BigDecimal.ONE.subtract(new BigDecimal(betas[t])));
      double exact = BigDecimal.ONE.subtract(kept).round(MathContext.DECIMAL64).doubleValue();
      assertEquals(exact, schedule.noiseVariance(t), 4e-16 * exact);
    }
  }

  @Test
  void noisingMixesTimesteps() {
    try (Scope _ = Scope.open("test")) {
      Device device = Device.reference();
      Tensor original = device.tensor(new double[] {1, -2, 3, -4}, 2, 2);
      Tensor noise = device.tensor(new double[] {0.5, 0.25, -1, 2}, 2, 2);
      double[] noised = LINEAR.addNoise(original, noise, 10, 900).toDoubles();
      double s = Math.sqrt(LINEAR.alphaBar(10));
      double n = Math.sqrt(1 - LINEAR.alphaBar(10));
      double s2 = Math.sqrt(LINEAR.alphaBar(900));
      double n2 = Math.sqrt(1 - LINEAR.alphaBar(900));
      double[] expected = {s + 0.5 * n, -2 * s + 0.25 * n, 3 * s2 - n2, -4 * s2 + 2 * n2};
      assertArrayEquals(expected, noised, 1e-14);
      assertArrayEquals(
          LINEAR.addNoise(original, noise, 10, 10).toDoubles(),
          LINEAR.addNoise(original, noise, 10).toDoubles());
    }
  }

  @Test
  void betasOutsideZeroToOneAreNamed() {
    ReverieException e =
        assertThrows(ReverieException.class, () -> NoiseSchedule.ofBetas(0.1, 1.0));
    assertTrue(e.getMessage().contains("got 1.0 at timestep 1"), e::getMessage);
    assertThrows(ReverieException.class, () -> NoiseSchedule.ofBetas(0.1, Double.NaN));
    assertThrows(ReverieException.class, NoiseSchedule::ofBetas);
    assertThrows(ReverieException.class, () -> LINEAR.alphaBar(1000));
    assertThrows(ReverieException.class, () -> LINEAR.alphaBar(-1));
  }
}
