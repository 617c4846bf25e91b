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
  void ppodEqualsD3po() {
    // Three pairs of one step each, winners first.
    double[] now = {.05, -.02, .2, .01, -.3, .15};
    double[] zero = new double[6];
    double[] rewards = {1, 0, 1, 0, 1, 0};
    var objective = new Ppod(Ppod.Link.SIGMOID, Ppod.Span.STEP, .1, .1);
    Value value = value(objective, now, zero, zero, rewards, 0, 0, 1, 1, 2, 2);
    assertEquals(.693925041590528, value.loss(), 1e-14);
    assertArrayEquals(
        new double[] {-.0166083336, .0166083336, 0, .0165955753, 0, 0}, value.gradient(), 1e-10);
    assertTrue(objective.clips(.2, 0, 0) && objective.clips(-.11, 0, 0));
    assertTrue(!objective.clips(.095, 0, 0) && !objective.clips(-.105, 0, 0));
  }

  @Test
  void ppodLinks() {
    double[] now = {.4, .1, -.2, .3};
    double[] zero = new double[4];
    double[] rewards = {1, 0};
    double[] steps = {.4 - -.2, .1 - .3};
    double chain = steps[0] + steps[1];
    double none = Double.POSITIVE_INFINITY;
    for (Ppod.Link link : Ppod.Link.values()) {
      Value whole = value(new Ppod(link, Ppod.Span.CHAIN, 2, none), now, zero, zero, rewards);
      assertEquals(pair(link, 2, chain), whole.loss(), 1e-14);
      Value each = value(new Ppod(link, Ppod.Span.STEP, 2, none), now, zero, zero, rewards);
      double mean = (pair(link, 2, steps[0]) + pair(link, 2, steps[1])) / 2;
      assertEquals(mean, each.loss(), 1e-14);
    }
    Value far =
        value(new Ppod(Ppod.Link.HINGE, Ppod.Span.CHAIN, 3, none), now, zero, zero, rewards);
    assertEquals(0, far.loss());
    assertArrayEquals(zero, far.gradient());
  }

  private static double pair(Ppod.Link link, double beta, double difference) {
    return switch (link) {
      case SIGMOID -> Math.log1p(Math.exp(-beta * difference));
      case HINGE -> Math.max(0, 1 - beta * difference);
      case IPO -> Math.pow(difference - 1 / (2 * beta), 2);
    };
  }

  @Test
  void rankingsOfTwoAreThePairwiseLoss() {
    var ranking = new PlackettLuce(.7);
    var pairwise = new Ppod(Ppod.Link.SIGMOID, Ppod.Span.CHAIN, .7, Double.POSITIVE_INFINITY);
    double[] rewards = {.3, -.1, .25, .3};
    int[] groups = {0, 0, 1, 1};
    Value one = value(ranking, NOW, rewards, groups);
    Value other = value(pairwise, NOW, rewards, groups);
    assertEquals(other.loss(), one.loss(), 1e-15);
    assertArrayEquals(other.gradient(), one.gradient(), 1e-16);
  }

  @Test
  void rankingsHaveTheLikelihoodOfPlackettAndLuce() {
    double beta = 20;
    double[] rewards = {.3, -.1, .25, .7};
    Value value = value(new PlackettLuce(beta), NOW, rewards);
    double[] e = new double[4];
    for (int i = 0; i < e.length; i++) {
      double sum = 0;
      for (int t = 0; t < T; t++) {
        sum += NOW[i * T + t] - REFERENCE[i * T + t];
      }
      e[i] = Math.exp(beta * sum);
    }
    double likelihood =
        e[3] / (e[3] + e[0] + e[2] + e[1]) * (e[0] / (e[0] + e[2] + e[1])) * (e[2] / (e[2] + e[1]));
    assertEquals(-Math.log(likelihood), value.loss(), 1e-13);
  }

  @Test
  void chainsThatEarnedTheSameAreNotRanked() {
    double[] rewards = {1, 0, 0, 1};
    double[] expected = new double[4 * T];
    double loss = 0;
    for (int[] kept : new int[][] {{0, 1, 2}, {3, 1, 2}}) {
      double[] only = new double[4];
      Arrays.fill(only, 7);
      only[kept[1]] = 0;
      only[kept[2]] = 0;
      int[] groups = {5, 5, 5, 5};
      groups[kept[0] == 0 ? 3 : 0] = 6;
      Value value = value(new PlackettLuce(3), NOW, only, groups);
      loss += 2 * value.loss();
      Arrays.setAll(expected, i -> expected[i] + 2 * value.gradient()[i]);
    }
    Value value = value(new PlackettLuce(3), NOW, rewards);
    assertEquals(loss, value.loss(), 1e-14);
    assertArrayEquals(expected, value.gradient(), 1e-14);
    Value none = value(new PlackettLuce(3), NOW, new double[4]);
    assertEquals(0, none.loss());
    assertArrayEquals(new double[4 * T], none.gradient());
  }

  @Test
  void extremeLogRatiosGiveFiniteNumbers() {
    double[] now = {-9e5, 3e5, 8e5, -2e5};
    double[] zero = new double[4];
    double[] rewards = {3, 2, 1, 0};
    for (ChainObjective objective :
        List.of(new PlackettLuce(), new Ppod(), new Prdp(), prdp(Double.POSITIVE_INFINITY, 1))) {
      Value value = value(objective, now, zero, zero, rewards);
      assertTrue(Double.isFinite(value.loss()), objective + " " + value.loss());
      assertTrue(Arrays.stream(value.gradient()).allMatch(Double::isFinite), objective::toString);
    }
  }

  @Test
  void misuseIsNamed() {
    assertThrows(ReverieException.class, () -> prdp(0, 1));
    assertThrows(ReverieException.class, () -> prdp(1, 0));
    assertThrows(ReverieException.class, () -> prdp(1, Double.NaN));
    assertThrows(ReverieException.class, () -> new Ppod(Ppod.Link.IPO, Ppod.Span.STEP, -1, .1));
    assertThrows(ReverieException.class, () -> new PlackettLuce(Double.POSITIVE_INFINITY));
    assertEquals("ppod", new Ppod().name());
    assertEquals("plackett_luce", new PlackettLuce().name());
    assertEquals("prdp", new Prdp().name());
    assertTrue(new Prdp().clips(1.001, 1, 0) && new Prdp().clips(0.999, 1, 0));
    assertTrue(!new Prdp().clips(1.00005, 1, 0));
  }
}
