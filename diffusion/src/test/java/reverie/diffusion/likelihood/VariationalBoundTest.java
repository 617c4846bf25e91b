// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.diffusion.NoiseSchedule;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.analytic.GaussianChain;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** On Gaussian data, where chain and flow have known densities. */
class VariationalBoundTest {
  private static final Device DEVICE = Device.reference();
  private static final SchedulerConfig CONFIG =
      SchedulerConfig.stableDiffusion().withEndsClean(true);
  private static final double MEAN = 0.3;
  private static final double DEVIATION = 0.5;
  private static final double[] POINT = {0.1, -0.4, 0.9, 0.3, 1.2, 0.0};

  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private record Measured(double mean, double error) {
    static Measured of(double... values) {
      double mean = Arrays.stream(values).average().orElseThrow();
      double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
      return new Measured(mean, Math.sqrt(squares / (values.length - 1) / values.length));
    }
  }

  /** A chain of one step that ends with chance, by hand, of a model that says nothing. */
  @Test
  void aLastStepWithChanceHasItsOwnDeviation() {
    ReversePolicy policy = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 1, 1);
    double[][] noised = new double[1][];
    var bound =
        new VariationalBound(
            policy,
            Prediction.EPSILON,
            (x, _, _) -> {
              noised[0] = x.toDoubles();
              return x.mul(0);
            });
    double actual = bound.of(DEVICE.tensor(POINT, 3, 2, 1), null, 1, Rng.of(3))[0];
    double kept = policy.schedule().alphaBar(1);
    double sigma = policy.sigma(0);
    double expected = 0;
    for (int i = 0; i < POINT.length; i++) {
      expected -= (kept * POINT[i] * POINT[i] - kept - Math.log(1 - kept)) / 2;
      expected += gaussian(POINT[i], policy.stateFactor(0) * noised[0][i], sigma * sigma);
    }
    assertEquals(expected, actual, 1e-9 * Math.abs(expected));
  }

  private static VariationalBound bound(int steps, double eta) {
    return bound(CONFIG, steps, eta);
  }

  private static VariationalBound bound(SchedulerConfig config, int steps, double eta) {
    ReversePolicy policy = ReversePolicy.ddim(config, steps, eta);
    return new VariationalBound(
        policy, Prediction.EPSILON, GaussianDenoiser.of(policy.schedule(), MEAN, DEVIATION));
  }

  private static Measured measured(int steps, double eta) {
    Tensor point = DEVICE.tensor(POINT, 3, 2, 1);
    return Measured.of(bound(steps, eta).of(point, null, 64, Rng.of(3)));
  }

  private static double gaussian(double x, double mean, double variance) {
    return -0.5 * ((x - mean) * (x - mean) / variance + Math.log(2 * Math.PI * variance));
  }

  /** The density of what the chain draws, its last step widened by the decoder's deviation. */
  private static double chainDensity(int steps, double eta) {
    VariationalBound bound = bound(steps, eta);
    GaussianChain chain = GaussianChain.of(bound.policy(), MEAN, DEVIATION);
    double decoder = bound.decoderDeviation();
    double variance = chain.variance() + decoder * decoder;
    return Arrays.stream(POINT).map(x -> gaussian(x, chain.mean(), variance)).sum();
  }

  /**
   * The bound itself: errors of the model are linear in the noise, so that their squares are known.
   */
  private static double closedForm(int steps, double eta) {
    return closedForm(bound(steps, eta));
  }

  private static double closedForm(VariationalBound bound) {
    ReversePolicy policy = bound.policy();
    int steps = policy.steps();
    double total = 0;
    for (double x : POINT) {
      for (int step = 0; step < steps; step++) {
        int t = (int) policy.timestep(step);
        double signal = policy.schedule().alphaBar(t);
        double noise = policy.schedule().noiseVariance(t);
        double slope = Math.sqrt(noise) / (signal * DEVIATION * DEVIATION + noise);
        double bias = slope * Math.sqrt(signal) * (x - MEAN);
        double spread = slope * Math.sqrt(noise) - 1;
        double squares = Math.pow(policy.outputFactor(step), 2) * (bias * bias + spread * spread);
        if (step == 0) {
          total -= 0.5 * (signal * x * x - signal - Math.log(noise));
        }
        if (step < steps - 1) {
          total -= squares / (2 * Math.pow(policy.sigma(step), 2));
        } else {
          double deviation =
              policy.isDecision(step) ? policy.sigma(step) : bound.decoderDeviation();
          double variance = deviation * deviation;
          total -= 0.5 * (squares / variance + Math.log(2 * Math.PI * variance));
        }
      }
    }
    return total;
  }

  @Test
  void agreesWithTheClosedFormAndLiesBelowTheDensityOfItsChain() {
    for (int steps : new int[] {5, 20, 100}) {
      for (double eta : new double[] {0.5, 1}) {
        Measured measured = measured(steps, eta);
        double bound = closedForm(steps, eta);
        assertEquals(bound, measured.mean, 5 * measured.error);
        assertTrue(bound < chainDensity(steps, eta), () -> steps + " steps, eta " + eta);
      }
    }
  }

  /** As in Stable Diffusion, whose schedule leaves noise there. */
  @Test
  void whereTheLastStepDrawsItsChanceIsTheDecoder() {
    VariationalBound bound = bound(SchedulerConfig.stableDiffusion(), 10, 1);
    assertTrue(bound.policy().isDecision(9));
    Tensor point = DEVICE.tensor(POINT, 3, 2, 1);
    Measured measured = Measured.of(bound.of(point, null, 256, Rng.of(3)));
    assertEquals(closedForm(bound), measured.mean, 5 * measured.error);
  }

  @Test
  void liesBelowTheExactLikelihoodAndRisesWithTheSteps() {
    Tensor point = DEVICE.tensor(POINT, 3, 2, 1);
    var model = GaussianDenoiser.of(CONFIG.schedule(), MEAN, DEVIATION);
    double exact;
    try (FlowLikelihood likelihood =
        new FlowLikelihood(CONFIG, DEVICE, model, new Trace.Exact(), 1e-6)) {
      exact = likelihood.of(point, null, _ -> {}).mean();
    }
    // The flow's density is that of the data, but for the noise of timestep 0 and of the start.
    double data = Arrays.stream(POINT).map(x -> gaussian(x, MEAN, DEVIATION * DEVIATION)).sum();
    assertEquals(data, exact, 0.05);
    Measured coarse = measured(10, 1);
    Measured fine = measured(100, 1);
    assertTrue(fine.mean + 5 * fine.error < exact, () -> fine + " against " + exact);
    assertTrue(coarse.mean + 5 * coarse.error < fine.mean, () -> coarse + " against " + fine);
    assertTrue(closedForm(500, 1) < exact && closedForm(500, 1) > exact - 2);
  }

  /** With half of the image left at the start, its own term of the divergence shows. */
  @Test
  void theStartIsMeasuredWhole() {
    SchedulerConfig config =
        CONFIG.withBetas(SchedulerConfig.BetaSchedule.LINEAR, 0.3, 0.5).withTrainSteps(2);
    ReversePolicy policy = ReversePolicy.ddim(config, 1, 1);
    double signal = config.schedule().alphaBar((int) policy.timestep(0));
    Tensor point = DEVICE.tensor(POINT, 3, 2, 1);
    // It knows the image, and so the noise.
    VariationalBound bound =
        new VariationalBound(
            policy,
            Prediction.EPSILON,
            (x, _, _) -> x.sub(point.mul(Math.sqrt(signal))).mul(1 / Math.sqrt(1 - signal)));
    double deviation = bound.decoderDeviation();
    double expected = 0;
    for (double x : POINT) {
      expected -= 0.5 * (signal * x * x - signal - Math.log(1 - signal));
      expected -= 0.5 * Math.log(2 * Math.PI * deviation * deviation);
    }
    assertEquals(expected, bound.of(point, null, 1, Rng.of(3))[0], 1e-9);
  }

  @Test
  void everyStepAndDrawHasNoiseOfItsOwn() {
    Set<Double> seen = new HashSet<>();
    ReversePolicy policy = ReversePolicy.ddim(CONFIG, 3, 1);
    NoiseSchedule schedule = policy.schedule();
    // Of an image of zeros only noise is left.
    new VariationalBound(
            policy,
            Prediction.EPSILON,
            (x, timesteps, _) -> {
              double scale = schedule.noise(timesteps.toDoubles()[0]);
              for (double value : x.toDoubles()) {
                seen.add((double) Math.round(value / scale * 1e9));
              }
              return x.mul(1 / scale);
            })
        .of(DEVICE.zeros(3, 2, 1), null, 4, Rng.of(3));
    assertEquals(3 * 4 * 6, seen.size());
  }

  @Test
  void aChainWithoutChanceHasNoBound() {
    ReverieException error = assertThrows(ReverieException.class, () -> measured(10, 0));
    assertTrue(error.getMessage().contains("at eta 0.0"), error::getMessage);
  }

  @Test
  void bitsAreCountedFromWholeLevels() {
    // A density of one level's width for every element says the image for nothing.
    assertEquals(0, Bits.perElement(3 * Math.log(127.5), 3), 1e-12);
    assertEquals(8, Bits.perElement(3 * Math.log(127.5 / 256), 3), 1e-12);
  }
}
