// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reverie.autograd.Tape;
import reverie.rl.objective.ChainObjective.Chains;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** Objectives of whole chains against numbers measured with reference code, in float64. */
class ChainNumbersTest {
  private static final int T = 3;
  private static final double[] REWARDS = {.3, -.1, .25, .3};
  private static final double[] REFERENCE = matrix(n -> Math.sin(1.3 * n + .5));
  private static final double[] OLD = matrix(n -> REFERENCE[n] + .02 * Math.cos(.7 * n));
  private static final double[] NOW = matrix(n -> OLD[n] + .01 * Math.sin(2.1 * n + 1));

  private record Value(double loss, double[] gradient) {}

  private static double[] matrix(IntToDoubleFunction value) {
    return IntStream.range(0, 4 * T).mapToDouble(value).toArray();
  }

  private static Value value(
      ChainObjective objective, double[] now, double[] rewards, int... groups) {
    return value(objective, now, OLD, REFERENCE, rewards, groups);
  }

  private static Value value(
      ChainObjective objective,
      double[] now,
      double[] old,
      double[] reference,
      double[] rewards,
      int... groups) {
    try (Scope _ = Scope.open("test")) {
      Device device = Device.reference();
      int steps = now.length / rewards.length;
      Tensor lp = device.tensor(now, rewards.length, steps);
      var chains =
          new Chains(
              device.tensor(old, rewards.length, steps),
              device.tensor(reference, rewards.length, steps),
              rewards,
              groups.length == 0 ? new int[rewards.length] : groups);
      Tape.Result result = Tape.run(List.of(lp), () -> objective.loss(lp, chains));
      return new Value(result.loss().item(), result.gradient(lp).toDoubles());
    }
  }

  private static Prdp prdp(double clip, double beta) {
    return new Prdp(beta, clip, Prdp.Time.MEAN);
  }

  @Test
  void prdpEqualsThePublishedLoss() {
    Value clipped = value(prdp(.005, 10), NOW, REWARDS);
    assertEquals(1.11866433145239e-4, clipped.loss(), 1e-17);
    assertArrayEquals(
        new double[] {
          -.001494886201949, -.000846174519356, -.001494886201949,
          .001494886201949, .005165301351931, .001494886201949,
          -.000609243387524, -.00339401156939, -.000609243387524,
          .000609243387524, -.000925115263185, .000609243387524
        },
        clipped.gradient(),
        1e-14);
    Value far = value(prdp(.005, .1), NOW, REWARDS);
    assertEquals(8.82836382659363, far.loss(), 1e-13);
    double first = -.59486126043326;
    assertArrayEquals(
        new double[] {
          first,
          first,
          first,
          .529494886201949,
          1.523165301351931,
          .529494886201949,
          .065366374231311,
          -.333371380116526,
          .065366374231311,
          0,
          -.594932660802145,
          0
        },
        far.gradient(),
        1e-13);
  }

  @Test
  void prdpWithoutClippingAndAtTheOldWeights() {
    Value wide = value(prdp(1, 10), NOW, REWARDS);
    assertEquals(1.10768446277379e-4, wide.loss(), 1e-17);
    assertRows(
        wide.gradient(), -.00086126043326, .005142666755699, -.00337138112685, -.000910025195589);
    Value old = value(prdp(.005, 10), OLD, REWARDS);
    assertEquals(1.10775503626555e-4, old.loss(), 1e-17);
    assertRows(
        old.gradient(), -.000861043229923, .005142811638027, -.003371525929434, -.00091024247867);
    Value unclipped = value(prdp(Double.POSITIVE_INFINITY, 10), OLD, REWARDS);
    assertArrayEquals(unclipped.gradient(), old.gradient(), 1e-16);
  }

  private static void assertRows(double[] gradient, double... rows) {
    for (int i = 0; i < gradient.length; i++) {
      assertEquals(rows[i / T], gradient[i], 1e-14, "element " + i);
    }
  }

  @Test
  void sumOverTimeIsTheMeanWithTimesTheBeta() {
    Value mean = value(prdp(.005, 10), NOW, REWARDS);
    Value sum = value(new Prdp(10.0 / T, .005, Prdp.Time.SUM), NOW, REWARDS);
    assertEquals(T * T * mean.loss(), sum.loss(), 1e-16);
    double[] scaled = Arrays.stream(mean.gradient()).map(g -> T * T * g).toArray();
    assertArrayEquals(scaled, sum.gradient(), 1e-15);
  }

  @Test
  void groupsAreAveragedAndOnesWithoutDifferencesContributeNothing() {
    double[] two = {.3, -.1};
    Value alone =
        value(
            prdp(.005, 10),
            Arrays.copyOf(NOW, 2 * T),
            Arrays.copyOf(OLD, 2 * T),
            Arrays.copyOf(REFERENCE, 2 * T),
            two);
    Value both = value(prdp(.005, 10), NOW, new double[] {.3, -.1, .7, .7}, 4, 4, 9, 9);
    assertEquals(alone.loss() / 2, both.loss(), 1e-17);
    for (int i = 0; i < NOW.length; i++) {
      assertEquals(i < 2 * T ? alone.gradient()[i] / 2 : 0, both.gradient()[i], 1e-17);
    }
    Value none = value(prdp(.005, 10), NOW, new double[] {.7, .7, .7, .7});
    assertEquals(0, none.loss());
    assertArrayEquals(new double[4 * T], none.gradient());
  }

  @Test
  void misuseIsNamed() {
    assertThrows(ReverieException.class, () -> prdp(0, 1));
    assertThrows(ReverieException.class, () -> prdp(1, 0));
    assertThrows(ReverieException.class, () -> prdp(1, Double.NaN));
    assertEquals("prdp", new Prdp().name());
    assertTrue(new Prdp().clips(1.001, 1, 0));
  }
}
