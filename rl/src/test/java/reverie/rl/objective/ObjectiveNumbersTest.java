// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.autograd.Tape;
import reverie.rl.advantage.BatchAdvantages;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** The losses against numbers measured with the reference implementations, in float64. */
class ObjectiveNumbersTest {
  private static final double[] ADVANTAGE = {2, -7, .5, -.2, 9};
  private static final double[] LOG_RATIO = {2e-4, -3e-4, -5e-5, 2e-4, -2e-4};

  private record Value(double loss, double[] gradient) {}

  /** {@code 0.3} stands for lp_old: only the difference may matter. */
  private static Value value(StepObjective objective, double[] logRatio, double[] advantage) {
    try (Scope _ = Scope.open("test")) {
      Device device = Device.reference();
      Tensor old = device.full(0.3, logRatio.length);
      Tensor lp = old.add(device.tensor(logRatio, logRatio.length));
      Tensor a = device.tensor(advantage, advantage.length);
      Tape.Result result = Tape.run(List.of(lp), () -> objective.loss(lp, old, a).mean());
      return new Value(result.loss().item(), result.gradient(lp).toDoubles());
    }
  }

  @Test
  void importanceSampledEqualsTheReference() {
    Value value = value(new DdpoImportanceSampled(1e-4, 5), LOG_RATIO, ADVANTAGE);
    assertEquals(-0.459927019323611, value.loss(), 1e-12);
    double[] expected = {0, 0, -0.09999500012499792, 0.040008000800053345, -0.9998000199986667};
    assertArrayEquals(expected, value.gradient(), 1e-12);
  }

  @Test
  void theGroupFormAndDpokHaveTheSameSurrogate() {
    for (double range : new double[] {1e-4, 0.1, 10}) {
      for (double limit : new double[] {0.5, 5}) {
        Value expected = value(new DdpoImportanceSampled(range, limit), LOG_RATIO, ADVANTAGE);
        for (StepObjective objective :
            List.of(new Grpo(range, limit), new Dpok(range, limit, new ValueFunction()))) {
          Value value = value(objective, LOG_RATIO, ADVANTAGE);
          assertEquals(expected.loss(), value.loss(), objective::toString);
          assertArrayEquals(expected.gradient(), value.gradient(), objective.toString());
        }
      }
    }
  }

  @Test
  void publishedDpokEqualsItsCode() {
    Value value = value(new DpokPublished(), LOG_RATIO, ADVANTAGE);
    assertEquals(-0.859991000124998, value.loss(), 1e-12);
    assertArrayEquals(new double[] {0, 0, -0.0999950001, 0, 0}, value.gradient(), 1e-10);
  }

  @Test
  void diffusionDpoEqualsTheReference() {
    double[] chosen = {.10 - .11, .2 - .19, .05 - .05};
    double[] rejected = {.12 - .11, .18 - .2, .07 - .06};
    try (Scope _ = Scope.open("test")) {
      Device device = Device.reference();
      Tensor won = device.tensor(chosen, 3);
      Tensor lost = device.tensor(rejected, 3);
      Tape.Result result =
          Tape.run(List.of(won), () -> new DiffusionDpo(2000).loss(won, lost).mean());
      assertEquals(10.0000151336535, result.loss().item(), 1e-10);
      double[] inside = {20, -30, 10};
      double[] gradient = Arrays.stream(inside).map(x -> 1000 / (1 + Math.exp(x)) / 3).toArray();
      assertArrayEquals(gradient, result.gradient(won).toDoubles(), 1e-9);
      double steep = new DiffusionDpo(5000).loss(won, lost).mean().item();
      assertEquals(25.0000000000047, steep, 1e-10);
    }
  }

  @Test
  void anExtremePreferenceGivesFiniteNumbers() {
    try (Scope _ = Scope.open("test")) {
      Device device = Device.cpu();
      Tensor won = device.tensor(new double[] {1e6, -1e6}, 2);
      Tape.Result result =
          Tape.run(List.of(won), () -> new DiffusionDpo().loss(won, won.neg()).mean());
      assertTrue(Double.isFinite(result.loss().item()));
      assertTrue(Arrays.stream(result.gradient(won).toDoubles()).allMatch(Double::isFinite));
    }
  }

  @Test
  void atTheOldWeightsClippingIsInertAndBothEstimatorsAgree() {
    double[] zero = new double[ADVANTAGE.length];
    double[] mild = Arrays.stream(ADVANTAGE).map(a -> a / 3).toArray();
    Value clipped = value(new DdpoImportanceSampled(1e-4, 5), zero, mild);
    Value wide = value(new DdpoImportanceSampled(1e6, 5), zero, mild);
    Value score = value(new DdpoScoreFunction(), zero, mild);
    assertArrayEquals(wide.gradient(), clipped.gradient(), 1e-15);
    assertArrayEquals(score.gradient(), clipped.gradient(), 1e-15);
    assertEquals(-Arrays.stream(mild).sum() / mild.length, clipped.loss(), 1e-14);
  }

  @Test
  void scoreFunctionIsMinusAdvantageTimesLogProb() {
    Value value = value(new DdpoScoreFunction(), LOG_RATIO, ADVANTAGE);
    double[] expected = Arrays.stream(ADVANTAGE).map(a -> -a / ADVANTAGE.length).toArray();
    assertArrayEquals(expected, value.gradient(), 1e-15);
  }

  /** The single number that TRL's tests check. */
  @Test
  void lossOfOneForAdvantageMinusOneAtRatioOne() {
    assertEquals(1.0, value(new DdpoImportanceSampled(), new double[1], new double[] {-1}).loss());
  }

  @Test
  void aDivergedPolicyGivesFiniteNumbers() {
    Value value =
        value(new DdpoImportanceSampled(), new double[] {900, -900, 900}, new double[] {1, 1, -1});
    assertTrue(Double.isFinite(value.loss()), () -> "loss " + value.loss());
    assertTrue(Arrays.stream(value.gradient()).allMatch(Double::isFinite));
  }

  @Test
  void exponentialWeightsEqualTheReference() {
    double[] rewards = {1, 2, 3, 6, 5, 7, 0, 10};
    double[] expected = {
      0.424503502029714, 0.518489748227744, 0.633284808563139, 1.1539201556846,
      0.944749918055514, 1.409401260849783, 0.347554071901029, 2.568096534688477
    };
    var together = new RewardWeightedRegression(0.2, false, 1);
    assertArrayEquals(
        expected, together.weights(List.of("abcdefgh".split("")), rewards, rewards), 1e-12);
    var apart = new RewardWeightedRegression(0.2, true, 1);
    assertArrayEquals(
        expected, apart.weights(List.of("aaaaaaaa".split("")), rewards, rewards), 1e-12);
  }

  @Test
  void weightsArePerContext() {
    List<String> prompts = List.of("a", "b", "a", "b", "a");
    double[] rewards = {1, 1000, 2, 1000, 3};
    double[] soft = new RewardWeightedRegression(1, true, 1).weights(prompts, rewards, rewards);
    double sum = Math.exp(-2) + Math.exp(-1) + 1;
    assertArrayEquals(
        new double[] {3 * Math.exp(-2) / sum, 1, 3 * Math.exp(-1) / sum, 1, 3 / sum}, soft, 1e-12);
    double[] hard = new SparseRegression(0.9, true, 1).weights(prompts, rewards, rewards);
    assertArrayEquals(new double[] {0, 1, 0, 1, 1}, hard);
  }

  @Test
  void extremeRewardsGiveFiniteWeights() {
    var soft = new RewardWeightedRegression(50, true, 1);
    double[] rewards = {-1e6, 1e6};
    double[] weights = soft.weights(List.of("a", "a"), rewards, rewards);
    assertArrayEquals(new double[] {0, 2}, weights);
  }

  @Test
  void misuseIsNamed() {
    assertThrows(ReverieException.class, () -> new DdpoImportanceSampled(0, 5));
    assertThrows(ReverieException.class, () -> new Grpo(1e-4, 0));
    assertThrows(ReverieException.class, () -> new Dpok(-1, 5, new ValueFunction()));
    assertThrows(ReverieException.class, () -> new DpokPublished(0, new ValueFunction()));
    assertThrows(ReverieException.class, () -> new ValueFunction(0, 1e-4, 5, 256));
    assertThrows(ReverieException.class, () -> new DiffusionDpo(0));
    assertThrows(ReverieException.class, () -> new Grpo().require(new BatchAdvantages()));
    assertThrows(ReverieException.class, () -> new RewardWeightedRegression(Double.NaN, true, 1));
    assertThrows(ReverieException.class, () -> new SparseRegression(2, true, 1));
    assertThrows(ReverieException.class, () -> new SparseRegression(.9, true, 0));
    assertEquals("rwr_sparse", new SparseRegression(.9, true, 1).name());
    assertEquals("rwr", new RewardWeightedRegression(1, true, 1).name());
  }
}
