// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.autograd.Tape;
import reverie.rl.objective.AdvantageWeightedMatching.Weight;
import reverie.rl.objective.DenoisingObjective.Lag;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** Losses of the forward process, in float64. */
class ForwardProcessTest {
  private static final Lag LAG = Lag.NONE;
  private static final DiffusionNft NFT = new DiffusionNft(0.5, false, 5, 0, LAG, 1);
  private static final CenteredRewardDistillation CRD =
      new CenteredRewardDistillation(0.5, false, 5, 0, LAG, 1);
  private static final DirectGroupPreference DGPO = new DirectGroupPreference(100, 5, 1);

  private static AdvantageWeightedMatching awm(Weight weight) {
    return new AdvantageWeightedMatching(weight, 0.25, 10, 5, 0, 0, LAG, 1);
  }

  /** Loss and gradient by v of samples of one prompt. */
  private record Value(double[] loss, double[] gradient) {}

  /** Samples of two elements each. */
  private static Value value(
      DenoisingObjective objective,
      double[] output,
      double[] target,
      double[] old,
      double[] base,
      double[] noise,
      double[] weight) {
    try (Scope _ = Scope.open("test")) {
      Device device = Device.reference();
      int n = weight.length;
      int each = output.length / n;
      Tensor v = device.tensor(output, n, each);
      Tensor u = device.tensor(target, n, each);
      Tensor o = device.tensor(old, n, each);
      Tensor r = device.tensor(base, n, each);
      Tensor sigma = device.tensor(noise, n);
      Tensor a = device.tensor(weight, n);
      Tensor group =
          objective.couples()
              ? device.full(
                  objective
                      .coupling(new Denoised(v, u, o, r, o, sigma, sigma, a, null))
                      .mean()
                      .item(),
                  n)
              : null;
      double[][] losses = new double[1][];
      Tape.Result result =
          Tape.run(
              List.of(v),
              () -> {
                Tensor loss = objective.loss(new Denoised(v, u, o, r, o, sigma, sigma, a, group));
                losses[0] = loss.toDoubles();
                return loss.sum();
              });
      return new Value(losses[0], result.gradient(v).toDoubles());
    }
  }

  static Stream<Arguments> gradients() {
    return Stream.of(
        Arguments.of(NFT, 4.08),
        Arguments.of(awm(Weight.UNIFORM), 4.08),
        Arguments.of(CRD, 3.12),
        Arguments.of(DGPO, 2.04),
        Arguments.of(new RewardWeightedRegression(1, true, 1), 4.08));
  }

  /**
   * At v = v_o all of them push along ∂e: NFT, AWM and RWR by A, CRD by A without its mean (0.4
   * here, the other sample's is −0.9), DGPO by half of A.
   */
  @ParameterizedTest
  @MethodSource("gradients")
  void shareOneGradientAtTheModelThatDrew(DenoisingObjective objective, double expected) {
    double[] v = {.3, .3};
    Value value =
        value(
            objective,
            v,
            new double[] {-.9, .1},
            v,
            v,
            new double[] {.5, .5},
            new double[] {1.7, -.9});
    assertEquals(expected, value.gradient[0], 1e-12);
  }

  private static final double[] V = {.3, -.2, .8, .1, -.5, .4};
  private static final double[] U = {-.9, .4, .6, -.3, .2, .7};
  private static final double[] O = {.25, -.1, .7, .2, -.4, .3};
  private static final double[] R = {.2, 0, .75, .15, -.45, .35};
  private static final double[] SIGMA = {.2, .6, .9};
  private static final double[] A = {1.7, -.9, 8};

  /** What the formulas of the public codes give, carried out in float64 by NumPy. */
  static Stream<Arguments> published() {
    return PublishedLosses.all();
  }

  @ParameterizedTest
  @MethodSource("published")
  void haveTheValuesOfThePublicCodes(
      DenoisingObjective objective, double[] loss, double[] gradient) {
    Value value = value(objective, V, U, O, R, SIGMA, A);
    assertArrayEquals(loss, value.loss, 1e-9, () -> Arrays.toString(value.loss));
    assertArrayEquals(gradient, value.gradient, 1e-9, () -> Arrays.toString(value.gradient));
  }

  @Test
  void anAnswerWithoutErrorGivesFiniteNumbers() {
    for (DenoisingObjective objective :
        List.of(
            new DiffusionNft(),
            new AdvantageWeightedMatching(),
            new CenteredRewardDistillation(),
            new DirectGroupPreference())) {
      Value value = value(objective, U, U, U, U, SIGMA, A);
      assertTrue(Arrays.stream(value.loss).allMatch(Double::isFinite), objective::toString);
      assertTrue(Arrays.stream(value.gradient).allMatch(Double::isFinite), objective::toString);
    }
  }

  @Test
  void lagRisesToItsLimit() {
    Lag lag = new Lag(1e-3, 0.5);
    assertEquals(0.2, lag.decay(200), 1e-15);
    assertEquals(0.5, lag.decay(5000));
    assertEquals(0, Lag.NONE.decay(5000));
  }

  @Test
  void misuseIsNamed() {
    assertThrows(ReverieException.class, () -> new Lag(0.1, 1));
    assertThrows(ReverieException.class, () -> new Lag(-1, 0.5));
    assertThrows(ReverieException.class, () -> new DiffusionNft(0, true, 5, 0, LAG, 1));
    assertThrows(ReverieException.class, () -> new DiffusionNft(1, true, 5, 0, LAG, 0));
    assertThrows(ReverieException.class, () -> new DirectGroupPreference(100, 0, 1));
    assertThrows(
        ReverieException.class, () -> new CenteredRewardDistillation(1, true, 5, -1, LAG, 1));
    assertThrows(
        ReverieException.class,
        () -> new AdvantageWeightedMatching(Weight.GHUBER, 2, 1, 5, 0, 0, LAG, 1));
    assertThrows(UnsupportedOperationException.class, () -> NFT.coupling(null));
    assertFalse(NFT.couples());
  }
}
