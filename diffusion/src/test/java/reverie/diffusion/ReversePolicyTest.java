// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.autograd.Tape;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class ReversePolicyTest {
  private static final Device DEVICE = Device.reference();
  private static final SchedulerConfig STABLE = SchedulerConfig.stableDiffusion();
  private static final double HALF_LOG_TWO_PI = 0.5 * Math.log(2 * Math.PI);
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static int stepAt(ReversePolicy policy, int timestep) {
    for (int i = 0; i < policy.steps(); i++) {
      if (policy.grid().timestep(i) == timestep) {
        return i;
      }
    }
    throw new AssertionError("no timestep " + timestep + " in " + policy.grid());
  }

  private static double sumAbs(double... values) {
    return DoubleStream.of(values).map(Math::abs).sum();
  }

  /** The next latent with the noise of the reference numbers. */
  private static Tensor next(ReversePolicy policy, ReversePolicy.Step step, Waves waves) {
    return step.mean().add(waves.noise().mul(policy.sigma(step.steps()[0])));
  }

  // The reference code in float32: prediction, eta, t, sigma, three means, one element of the next
  // latent, two sums of
  // magnitudes, two log-probabilities.
  @ParameterizedTest
  @CsvSource({
    "epsilon, 1, 981, .454463333, -.116194487, .296793461, .652106285, .908923745, 367.275062, 389.468046, -.489486754, -.489952922",
    "epsilon, 1, 501, .294784695, -.00430059433, .373765379, .692888081, .786295414, 340.937394, 350.84852, -.0566147901, -.0570809096",
    "epsilon, 1, 21, .0394796096, -.0259688534, .339487672, .649280012, .656872571, 328.404532, 328.659259, 1.95384622, 1.95338011",
    "epsilon, 1, 1, .0206482187, .0795753971, .434252024, .728597939, .634973288, 325.261526, 325.376637, 2.60200143, 2.60153508",
    "epsilon, .5, 981, .227231666, -.0344312787, .372624993, .718012333, .80768162, 365.502205, 371.036447, .203660369, .203194216",
    "epsilon, .5, 501, .147392347, .0355282426, .410704821, .724992514, .721698523, 340.772019, 343.22929, .636532426, .636066318",
    "epsilon, .5, 21, .0197398048, -.00225330144, .361482739, .668396115, .646727622, 328.118462, 328.215548, 2.64699364, 2.64652729",
    "epsilon, .5, 1, .0103241093, .0861248672, .440326333, .733877182, .630143046, 325.30539, 325.356553, 3.29514813, 3.29468203",
    "v_prediction, 1, 981, .454463333, .0715611055, .38724491, .649186611, .746743917, 289.555521, 317.76169, -.489486754, -.489952922",
    "v_prediction, 1, 501, .294784695, .0380743146, .378955871, .664165616, .722964287, 310.000253, 320.883943, -.0566147827, -.0570809171",
    "v_prediction, 1, 21, .0394796096, -.0265276097, .332444787, .636802018, .645462632, 322.525151, 322.783896, 1.95384634, 1.95337999",
    "v_prediction, 1, 1, .0206482187, .079507336, .433880776, .72797519, .634437978, 324.983536, 325.098669, 2.60200143, 2.60153532",
    "v_prediction, .5, 981, .227231666, .0860794708, .430681139, .716138303, .703586698, 316.655687, 322.970596, .203660339, .203194231",
    "v_prediction, .5, 501, .147392347, .0624152124, .413998157, .706768036, .681514859, 321.26394, 323.91576, .636532426, .636066318",
    "v_prediction, .5, 21, .0197398048, -.00270748138, .355758041, .65825361, .637453198, 323.33679, 323.43342, 2.6469934, 2.64652729",
    "v_prediction, .5, 1, .0103241093, .0860787705, .440074861, .73345536, .629780471, 325.117087, 325.168254, 3.29514813, 3.29468203",
    "sample, 1, 981, .454463333, .106175698, .418862224, .676191926, .743077695, 289.450283, 317.72072, -.489486754, -.489952922",
    "sample, 1, 501, .294784695, .158747822, .477936536, .737585068, .690442562, 299.553393, 311.240796, -.0566147938, -.0570809096",
    "sample, 1, 21, .0394796096, .904301941, .869707942, .786086023, -.00260282867, 298.931369, 299.246299, 1.95384622, 1.95338011",
    "sample, 1, 1, .0206482187, .541150808, .681548119, .767379463, .280045658, 210.44666, 210.675241, 2.60200143, 2.60153532",
    "sample, .5, 981, .227231666, .108296819, .450974733, .733471751, .701233506, 316.584158, 322.925027, .203660339, .203194231",
    "sample, .5, 501, .147392347, .138982862, .476801634, .75335288, .660879672, 314.640566, 317.39422, .636532426, .636066318",
    "sample, .5, 21, .0197398048, .7539047, .792465091, .779597044, .110681988, 251.302021, 251.289129, 2.64699364, 2.64652729",
    "sample, .5, 1, .0103241093, .398785472, .607839048, .760146916, .389723241, 232.16789, 232.227522, 3.29514813, 3.29468226",
  })
  void stepMatchesTheReferenceCode(
      String prediction,
      double eta,
      int t,
      double sigma,
      double mean0,
      double mean1,
      double mean2,
      double corner,
      double sumOfMeans,
      double sumOfNext,
      double logProb0,
      double logProb1) {
    SchedulerConfig config = STABLE.withPrediction(Prediction.of(prediction));
    ReversePolicy policy =
        ReversePolicy.ddim(config, config.schedule().inSinglePrecision(), 50, eta);
    int i = stepAt(policy, t);
    Waves waves = Waves.on(DEVICE, true);
    ReversePolicy.Step step = policy.step(waves.x(), waves.output(), i);
    Tensor next = next(policy, step, waves);

    double[] means = step.mean().toDoubles();
    assertEquals(sigma, policy.sigma(i), 1e-6 * sigma);
    assertArrayEquals(new double[] {mean0, mean1, mean2}, Arrays.copyOf(means, 3), 2e-6);
    assertEquals(corner, next.toDoubles()[511], 2e-6);
    assertEquals(sumOfMeans, sumAbs(means), 2e-6 * sumOfMeans);
    assertEquals(sumOfNext, sumAbs(next.toDoubles()), 2e-6 * sumOfNext);
    assertArrayEquals(
        new double[] {logProb0, logProb1}, policy.logProb(next, step).toDoubles(), 5e-6);
  }

  @ParameterizedTest
  @CsvSource({
    "981, .908923673101228, 389.468035696257, -.489486649393776, -.489952773654028",
    "501, .786295408606548, 350.84851663394, -.056614265359631, -.0570803896198833",
    "21, .656872464174225, 328.659243069926, 1.95384773361303, 1.95338160935278",
    "1, .63497337508835, 325.376639068257, 2.60199648401673, 2.60153035975648",
  })
  void stepMatchesTheReferenceCodeInFloat64(
      int t, double corner, double sum, double logProb0, double logProb1) {
    ReversePolicy policy = ReversePolicy.ddim(STABLE, 50, 1);
    Waves waves = Waves.on(DEVICE, false);
    ReversePolicy.Step step = policy.step(waves.x(), waves.output(), stepAt(policy, t));
    Tensor next = next(policy, step, waves);
    assertEquals(corner, next.toDoubles()[511], 2e-12);
    assertEquals(sum, sumAbs(next.toDoubles()), 1e-12 * sum);
    // The reference code has its ½·log 2π in float32.
    double constant = HALF_LOG_TWO_PI - 0.5f * (float) Math.log((float) (2 * Math.PI));
    assertArrayEquals(
        new double[] {logProb0 - constant, logProb1 - constant},
        policy.logProb(next, step).toDoubles(),
        2e-12);
    assertArrayEquals(
        new double[] {-Math.log(policy.sigma(step.steps()[0])) - HALF_LOG_TWO_PI},
        Arrays.copyOf(policy.logProb(step.mean(), step).toDoubles(), 1),
        1e-14);
  }

  @Test
  void samplesOfABatchMayBeAtDifferentSteps() {
    ReversePolicy policy = ReversePolicy.ddim(STABLE, 50, 1);
    Waves waves = Waves.on(DEVICE, false);
    int a = stepAt(policy, 501);
    int b = stepAt(policy, 21);
    ReversePolicy.Step mixed = policy.step(waves.x(), waves.output(), a, b);
    double[] both = mixed.mean().toDoubles();
    double[] onlyA = policy.step(waves.x(), waves.output(), a).mean().toDoubles();
    double[] onlyB = policy.step(waves.x(), waves.output(), b).mean().toDoubles();
    assertArrayEquals(Arrays.copyOf(onlyA, 256), Arrays.copyOf(both, 256));
    assertArrayEquals(Arrays.copyOfRange(onlyB, 256, 512), Arrays.copyOfRange(both, 256, 512));
    assertArrayEquals(new double[] {policy.sigma(a), policy.sigma(b)}, mixed.sigma().toDoubles());
    assertArrayEquals(new double[] {501, 21}, policy.timesteps(waves.x(), a, b).toDoubles());
    // The reference code's log-probabilities of this very batch, in float32.
    Tensor noise = waves.noise().mul(mixed.sigma().reshape(2, 1, 1, 1));
    assertArrayEquals(
        new double[] {-.0566147901, 1.95338011},
        policy.logProb(mixed.mean().add(noise), mixed).toDoubles(),
        5e-6);
    assertThrows(ReverieException.class, () -> policy.step(waves.x(), waves.output(), a, b, a));
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
    int t = ddim.grid().timestep(i);
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

  @Test
  void unclippedStepsEqualTheLongWayRoundAtBothEnds() {
    for (SchedulerConfig config :
        new SchedulerConfig[] {
          STABLE,
          SchedulerConfig.defaults(),
          SchedulerConfig.defaults()
              .withBetas(SchedulerConfig.BetaSchedule.SQUAREDCOS_CAP_V2, 1e-4, 0.02)
        }) {
      for (Prediction prediction : Prediction.values()) {
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
    ReversePolicy sum = mean.reducedBy(ReversePolicy.Reduction.SUM);
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
  void roundedLatentsScoreTheSameAgain() {
    for (DType storage : new DType[] {DType.BF16, DType.F16, DType.F32, DType.F64}) {
      ReversePolicy policy = ReversePolicy.ddim(STABLE, 10, 1).storedAs(storage);
      Waves waves = Waves.on(DEVICE, false);
      Rng[] rows = {Rng.of(1), Rng.of(2)};
      for (int i = 0; i < 10; i++) {
        ReversePolicy.Step step = policy.step(waves.x(), waves.output(), i);
        Tensor next = policy.sample(step, rows);
        double[] stored = Arrays.stream(next.toDoubles()).map(storage::round).toArray();
        assertArrayEquals(stored, next.toDoubles());
        double[] old = policy.logProb(next, step).toDoubles();
        Tensor again = DEVICE.tensor(stored, 2, 4, 8, 8);
        double[] rescored =
            policy.logProb(again, policy.step(waves.x(), waves.output(), i, i)).toDoubles();
        assertArrayEquals(old, rescored);
      }
    }
  }

  @Test
  void noNumberOfAnyScheduleIsNanOrInfinite() {
    for (SchedulerConfig.BetaSchedule shape : SchedulerConfig.BetaSchedule.values()) {
      for (Prediction prediction : Prediction.values()) {
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
}
