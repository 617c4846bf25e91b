// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static reverie.diffusion.RecordedStepsTest.stepAt;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.autograd.Tape;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class ReversePolicyTest {
  private static final Device DEVICE = Device.reference();
  private static final SchedulerConfig STABLE = SchedulerConfig.stableDiffusion();
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void variancesAreThoseOfDiffusers() {
    SchedulerConfig linear = SchedulerConfig.defaults();
    ReversePolicy fifty = ReversePolicy.ddim(linear, 50, 1);
    ReversePolicy full = ReversePolicy.ddim(linear, 1000, 1);
    assertEquals(0.14771, Math.pow(fifty.sigma(stepAt(fifty, 420)), 2), 1e-5);
    assertEquals(0.32460, Math.pow(fifty.sigma(stepAt(fifty, 980)), 2), 1e-5);
    assertEquals(0.00979, Math.pow(full.sigma(stepAt(full, 487)), 2), 1e-5);
    assertEquals(0.02, Math.pow(full.sigma(stepAt(full, 999)), 2), 1e-5);
    assertEquals(0, full.sigma(stepAt(full, 0)));
  }

  /** Ho et al. 2020, eq. 11 and fixed_small variance, from β alone. */
  @Test
  void etaOneOnTheFullGridIsDdpm() {
    SchedulerConfig config = SchedulerConfig.defaults().withoutClipping();
    ReversePolicy ddim = ReversePolicy.ddim(config, 1000, 1);
    ReversePolicy ddpm = ReversePolicy.ddpm(config, 1000);
    double alphaBar = 1;
    for (int t = 0; t < 1000; t++) {
      double beta = 1e-4 + (0.02 - 1e-4) * t / 999;
      double before = alphaBar;
      alphaBar *= 1 - beta;
      int i = 999 - t;
      double variance = beta * (1 - before) / (1 - alphaBar);
      double x = 1 / Math.sqrt(1 - beta);
      double output = -beta / Math.sqrt(1 - alphaBar) / Math.sqrt(1 - beta);
      for (ReversePolicy policy : new ReversePolicy[] {ddim, ddpm}) {
        assertEquals(variance, policy.sigma(i) * policy.sigma(i), 1e-12 * variance);
        assertEquals(x, policy.stateFactor(i), 1e-12 * x);
        assertEquals(output, policy.outputFactor(i), -1e-9 * output);
      }
    }
  }

  @Test
  void clippingChangesTheCleanSampleAndNotTheNoiseUnlessDdpm() {
    SchedulerConfig clipped = SchedulerConfig.defaults().withClipping(0.5);
    int i = 400;
    Waves waves = Waves.on(DEVICE, false);
    double[] x = waves.x().toDoubles();
    double[] output = waves.output().toDoubles();
    ReversePolicy ddim = ReversePolicy.ddim(clipped, 1000, 1);
    ReversePolicy ddpm = ReversePolicy.ddpm(clipped, 1000);
    NoiseSchedule schedule = clipped.schedule();
    int t = (int) ddim.timestep(i);
    double a = schedule.alphaBar(t);
    double aNext = schedule.alphaBar(t - 1);
    double beta = 1 - a / aNext;
    double sigma = ddim.sigma(i);
    double[] original = new double[512];
    double[] expectedDdim = new double[512];
    double[] expectedDdpm = new double[512];
    for (int n = 0; n < 512; n++) {
      double x0 = (x[n] - Math.sqrt(1 - a) * output[n]) / Math.sqrt(a);
      original[n] = Math.clamp(x0, -0.5, 0.5);
      expectedDdim[n] =
          Math.sqrt(aNext) * original[n] + Math.sqrt(1 - aNext - sigma * sigma) * output[n];
      // Ho et al. 2020, eq. 7.
      expectedDdpm[n] =
          Math.sqrt(aNext) * beta / (1 - a) * original[n]
              + Math.sqrt(1 - beta) * (1 - aNext) / (1 - a) * x[n];
    }
    assertArrayEquals(
        original, ddim.originalSample(waves.x(), waves.output(), i).toDoubles(), 1e-12);
    assertArrayEquals(
        expectedDdim, ddim.step(waves.x(), waves.output(), i).mean().toDoubles(), 1e-12);
    assertArrayEquals(
        expectedDdpm, ddpm.step(waves.x(), waves.output(), i).mean().toDoubles(), 1e-12);
  }

  /** Three ways to say the same clean image and noise lead to the same next step. */
  @Test
  void whatTheModelPredictsMakesNoDifference() {
    Waves waves = Waves.on(DEVICE, false);
    Tensor clean = waves.x();
    Tensor noise = waves.output();
    for (SchedulerConfig config : List.of(STABLE, SchedulerConfig.defaults().withClipping(0.5))) {
      int i = 40;
      NoiseSchedule schedule = config.schedule();
      double t = ReversePolicy.ddim(config, 100, 0.7).timestep(i);
      Tensor x = schedule.addNoise(clean, noise, t);
      Tensor v = noise.mul(schedule.signal(t)).sub(clean.mul(schedule.noise(t)));
      for (boolean ddpm : new boolean[] {false, true}) {
        List<double[]> means = new ArrayList<>();
        for (var said :
            Map.of(Prediction.EPSILON, noise, Prediction.V_PREDICTION, v, Prediction.SAMPLE, clean)
                .entrySet()) {
          SchedulerConfig own = config.withPrediction(said.getKey());
          ReversePolicy policy =
              ddpm ? ReversePolicy.ddpm(own, 100) : ReversePolicy.ddim(own, 100, 0.7);
          means.add(policy.step(x, said.getValue(), i).mean().toDoubles());
        }
        assertArrayEquals(means.get(0), means.get(1), 1e-10);
        assertArrayEquals(means.get(0), means.get(2), 1e-10);
      }
    }
  }

  @Test
  void unclippedStepsEqualTheLongWayRoundAtBothEnds() {
    for (SchedulerConfig config :
        new SchedulerConfig[] {
          STABLE,
          SchedulerConfig.defaults(),
          SchedulerConfig.defaults()
              .withBetas(SchedulerConfig.BetaSchedule.SQUAREDCOS_CAP_V2, 1e-4, 0.02)
        }) {
      for (Prediction prediction : EnumSet.complementOf(EnumSet.of(Prediction.FLOW))) {
        SchedulerConfig plain = config.withPrediction(prediction).withoutClipping();
        ReversePolicy folded = ReversePolicy.ddim(plain, 100, 1);
        // A range that nothing reaches takes the other way through the code.
        ReversePolicy longWay = ReversePolicy.ddim(plain.withClipping(1e12), 100, 1);
        Waves waves = Waves.on(DEVICE, false);
        for (int i : new int[] {0, 1, 50, 98, 99}) {
          double[] expected = longWay.step(waves.x(), waves.output(), i).mean().toDoubles();
          assertArrayEquals(
              expected, folded.step(waves.x(), waves.output(), i).mean().toDoubles(), 1e-10);
        }
      }
    }
  }

  @Test
  void stepsWithoutNoiseAreNoDecisions() {
    ReversePolicy policy = ReversePolicy.ddim(SchedulerConfig.defaults(), 10, 1);
    assertEquals(9, policy.decisions().length);
    assertFalse(policy.isDecision(9));
    Waves waves = Waves.on(DEVICE, false);
    ReversePolicy.Step last = policy.step(waves.x(), waves.output(), 9);
    assertArrayEquals(last.mean().toDoubles(), policy.sample(last).toDoubles());
    for (Runnable r :
        new Runnable[] {
          () -> policy.logProb(waves.x(), last), () -> policy.divergence(last, last)
        }) {
      ReverieException e = assertThrows(ReverieException.class, r::run);
      assertTrue(
          e.getMessage().contains("step 9 (timestep 0) has sigma 0 at eta 1.0"), e::getMessage);
    }
    // Stable Diffusion's offset and its end at alpha_bar_0 leave noise in the last step.
    assertEquals(10, ReversePolicy.ddim(STABLE, 10, 1).decisions().length);
    assertEquals(9, ReversePolicy.ddim(STABLE.withEndsClean(true), 10, 1).decisions().length);
  }

  @Test
  void aChainWithoutNoiseCannotBeTrained() {
    ReversePolicy policy = ReversePolicy.ddim(STABLE, 10, 0);
    assertEquals(0, policy.decisions().length);
    ReverieException e =
        assertThrows(ReverieException.class, () -> policy.requireDecisions("ddpo_is"));
    assertTrue(e.getMessage().startsWith("ddpo_is: eta 0.0 on 10 steps"), e::getMessage);
    assertTrue(e.getMessage().contains("hint: set eta above 0"), e::getMessage);
    assertArrayEquals(
        new int[] {0, 1, 2}, ReversePolicy.ddim(STABLE, 3, 0.1).requireDecisions("x"));
  }

  @Test
  void impossibleEtasAreRefused() {
    assertThrows(ReverieException.class, () -> ReversePolicy.ddim(STABLE, 10, -0.1));
    assertThrows(ReverieException.class, () -> ReversePolicy.ddim(STABLE, 10, Double.NaN));
    ReverieException e =
        assertThrows(ReverieException.class, () -> ReversePolicy.ddim(STABLE, 10, 3));
    assertTrue(e.getMessage().contains("eta 3.0"), e::getMessage);
  }

  @Test
  void sumsAreMeansTimesElements() {
    ReversePolicy mean = ReversePolicy.ddim(STABLE, 10, 1);
    ReversePolicy sum = mean.reducedBy(LogProbReduction.SUM);
    Waves waves = Waves.on(DEVICE, false);
    ReversePolicy.Step step = mean.step(waves.x(), waves.output(), 4, 7);
    ReversePolicy.Step other = mean.step(waves.x(), waves.noise(), 4, 7);
    double[] means = mean.logProb(waves.x(), step).toDoubles();
    double[] divergence = mean.divergence(step, other).toDoubles();
    for (int i = 0; i < 2; i++) {
      assertEquals(
          256 * means[i],
          sum.logProb(waves.x(), step).toDoubles()[i],
          1e-10 * Math.abs(256 * means[i]));
      assertEquals(
          256 * divergence[i],
          sum.divergence(step, other).toDoubles()[i],
          1e-10 * 256 * divergence[i]);
    }
  }

  @Test
  void divergenceIsTheExpectedLogRatio() {
    ReversePolicy policy = ReversePolicy.ddim(STABLE, 10, 1);
    Waves waves = Waves.on(DEVICE, false);
    ReversePolicy.Step step = policy.step(waves.x(), waves.output(), 3);
    ReversePolicy.Step other = policy.step(waves.x(), waves.output().mul(0.9), 3);
    // For actions mean ± sigma·z the terms linear in z cancel and the log-ratio averages to the
    // divergence exactly.
    Tensor noise = waves.noise().mul(policy.sigma(3));
    Tensor up = step.mean().add(noise);
    Tensor down = step.mean().sub(noise);
    double[] ratio =
        policy
            .logProb(up, step)
            .sub(policy.logProb(up, other))
            .add(policy.logProb(down, step).sub(policy.logProb(down, other)))
            .mul(0.5)
            .toDoubles();
    assertArrayEquals(ratio, policy.divergence(step, other).toDoubles(), 1e-12);
    assertArrayEquals(new double[2], policy.divergence(step, step).toDoubles());
  }

  @Test
  void noNumberOfAnyScheduleIsNanOrInfinite() {
    for (SchedulerConfig.BetaSchedule shape : SchedulerConfig.BetaSchedule.values()) {
      for (Prediction prediction : EnumSet.complementOf(EnumSet.of(Prediction.FLOW))) {
        for (TimestepGrid.Spacing spacing : TimestepGrid.Spacing.values()) {
          for (int steps : new int[] {1, 2, 7, 50, 1000}) {
            for (double eta : new double[] {0, 1e-6, 0.3, 1}) {
              SchedulerConfig config =
                  SchedulerConfig.defaults()
                      .withBetas(shape, 1e-4, 0.02)
                      .withPrediction(prediction)
                      .withSpacing(spacing, 0);
              for (boolean clean : new boolean[] {true, false}) {
                ReversePolicy policy = ReversePolicy.ddim(config.withEndsClean(clean), steps, eta);
                for (int i = 0; i < steps; i++) {
                  assertTrue(
                      Double.isFinite(policy.stateFactor(i))
                          && Double.isFinite(policy.outputFactor(i)));
                  assertTrue(policy.sigma(i) >= 0 && policy.sigma(i) <= 1);
                  assertEquals(
                      !policy.isDecision(i),
                      eta == 0 || (i == steps - 1 && (clean || policy.grid().timestep(i) == 0)));
                }
              }
            }
          }
        }
      }
    }
  }

  @Test
  void gradientReachesTheOutput() {
    ReversePolicy policy =
        ReversePolicy.ddim(STABLE.withPrediction(Prediction.V_PREDICTION), 10, 1);
    Waves waves = Waves.on(DEVICE, false);
    Tensor next = waves.noise();
    double[] gradient =
        Tape.run(
                List.of(waves.output()),
                () -> policy.logProb(next, policy.step(waves.x(), waves.output(), 2, 8)).sum())
            .gradient(waves.output())
            .toDoubles();
    double[] mean = policy.step(waves.x(), waves.output(), 2, 8).mean().toDoubles();
    double[] action = next.toDoubles();
    for (int n = 0; n < 512; n++) {
      int i = n < 256 ? 2 : 8;
      double sigma = policy.sigma(i);
      double expected = (action[n] - mean[n]) / (sigma * sigma) / 256 * policy.outputFactor(i);
      assertEquals(expected, gradient[n], 1e-12 * Math.max(1, Math.abs(expected)));
    }
  }

  /** DDPM ends at ᾱ = 1, whatever {@code set_alpha_to_one} says. */
  @Test
  void ddpmEndsClean() {
    ReversePolicy stable = ReversePolicy.ddpm(SchedulerConfig.stableDiffusion(), 50);
    assertEquals(0, stable.sigma(49));
    assertEquals(49, stable.decisions().length);
    assertEquals(1.0008530765, stable.stateFactor(49), 1e-10);
    ReversePolicy plain =
        ReversePolicy.ddpm(SchedulerConfig.defaults().withoutClipping().withEndsClean(false), 50);
    assertEquals(1.0000500038, plain.stateFactor(49), 1e-10);
    assertEquals(-0.0100005, plain.outputFactor(49), 1e-7);
  }

  /** diffusers' PNDMScheduler knows no {@code clip_sample}. */
  @Test
  void pseudoNumericalStepsClipNothing() {
    ReversePolicy clipped = ReversePolicy.pndm(SchedulerConfig.defaults().withClipping(0.1), 5);
    ReversePolicy free = ReversePolicy.pndm(SchedulerConfig.defaults().withoutClipping(), 5);
    assertFalse(clipped.clips());
    Waves waves = Waves.on(DEVICE, false);
    for (int i = 0; i < clipped.steps(); i++) {
      assertArrayEquals(
          free.originalSample(waves.x(), waves.output(), i).toDoubles(),
          clipped.originalSample(waves.x(), waves.output(), i).toDoubles());
      assertArrayEquals(
          free.step(waves.x(), waves.output(), i).mean().toDoubles(),
          clipped.step(waves.x(), waves.output(), i).mean().toDoubles());
    }
  }

  @Test
  void onlyStepsOfAWindowDecide() {
    ReversePolicy all = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 25, 1);
    ReversePolicy none = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 25, 0);
    DecisionWindow progressive = DecisionWindow.progressive(4, 25);
    for (long epoch : new long[] {0, 24, 25, 26, 21 * 25}) {
      int from = (int) (epoch / 25 % 21);
      ReversePolicy window = progressive.of(all, epoch);
      assertArrayEquals(
          new int[] {from, from + 1, from + 2, from + 3}, window.decisions(), "epoch " + epoch);
      for (int i = 0; i < 25; i++) {
        boolean inside = i >= from && i < from + 4;
        assertEquals((inside ? all : none).stateFactor(i), window.stateFactor(i));
        assertEquals((inside ? all : none).outputFactor(i), window.outputFactor(i));
        assertEquals((inside ? all : none).sigma(i), window.sigma(i));
      }
    }
    DecisionWindow random = DecisionWindow.random(3, Rng.of(1));
    long[] counts = new long[25];
    for (int epoch = 0; epoch < 1000; epoch++) {
      int[] decisions = random.of(all, epoch).decisions();
      assertEquals(3, decisions.length);
      assertEquals(2, decisions[2] - decisions[0]);
      counts[decisions[0]]++;
    }
    // 10 places in the first half of 25 steps, each a tenth of the time.
    for (int i = 0; i < 25; i++) {
      assertEquals(i < 10 ? 100 : 0, counts[i], i < 10 ? 50 : 0);
    }
    assertArrayEquals(random.of(all, 7).decisions(), random.of(all, 7).decisions());
    // One that is wider than half of the chain begins with it.
    DecisionWindow wide = DecisionWindow.random(15, Rng.of(1));
    for (int epoch = 0; epoch < 20; epoch++) {
      assertArrayEquals(IntStream.range(0, 15).toArray(), wide.of(all, epoch).decisions());
    }
    assertThrows(ReverieException.class, () -> DecisionWindow.random(0, Rng.of(1)));
    assertThrows(ReverieException.class, () -> DecisionWindow.progressive(25, 1).of(all, 0));
    assertThrows(ReverieException.class, () -> DecisionWindow.progressive(2, 0));
  }
}
