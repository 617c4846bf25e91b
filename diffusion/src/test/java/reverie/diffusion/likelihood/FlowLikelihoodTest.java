// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.likelihood;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Prediction;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class FlowLikelihoodTest {
  private static final Device DEVICE = Device.reference();
  private static final SchedulerConfig CONFIG = SchedulerConfig.stableDiffusion();

  /** Orthogonal axes of correlated data and their deviations. */
  private static final double[][] AXES = {{0.6, 0.8}, {-0.8, 0.6}};

  private static final double[] DEVIATIONS = {1.5, 0.2};
  private static final double[] MEAN = {0.3, -0.4};
  private static final double[] POINT = {0.7, 0.1};

  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /** The exact model of the correlated data: x̂0 = mean + Σ√ᾱ(ᾱΣ + (1−ᾱ)I)⁻¹(x − √ᾱ·mean). */
  private static Denoiser exact(SchedulerConfig config) {
    NoiseLevels levels = NoiseLevels.of(config.schedule());
    return (x, timesteps, _) -> {
      double level = levels.level(timesteps.toDoubles()[0]);
      double signal = NoiseLevels.signal(level);
      double noise = NoiseLevels.noise(level);
      double[] matrix = new double[4];
      for (int axis = 0; axis < 2; axis++) {
        double variance = DEVIATIONS[axis] * DEVIATIONS[axis];
        double factor = variance * Math.sqrt(signal) / (signal * variance + noise);
        for (int i = 0; i < 4; i++) {
          matrix[i] += factor * AXES[axis][i / 2] * AXES[axis][i % 2];
        }
      }
      Tensor mean = DEVICE.tensor(MEAN, 1, 2);
      Tensor clean =
          x.sub(mean.mul(Math.sqrt(signal))).matmul(DEVICE.tensor(matrix, 2, 2)).add(mean);
      Tensor epsilon = x.sub(clean.mul(Math.sqrt(signal))).mul(1 / Math.sqrt(noise));
      return switch (config.prediction()) {
        case SAMPLE -> clean;
        case EPSILON -> epsilon;
        case V_PREDICTION -> epsilon.mul(Math.sqrt(signal)).sub(clean.mul(Math.sqrt(noise)));
        case FLOW -> throw new AssertionError();
      };
    };
  }

  /** The density at timestep 0 of noise N(0, I) that flowed back along the exact model's paths. */
  private static double closedForm() {
    NoiseLevels levels = NoiseLevels.of(CONFIG.schedule());
    double logDensity = 0;
    for (int axis = 0; axis < 2; axis++) {
      double start = 0;
      double center = 0;
      for (int i = 0; i < 2; i++) {
        start += AXES[axis][i] * POINT[i];
        center += AXES[axis][i] * MEAN[i];
      }
      double[] spread = new double[2];
      double[] root = new double[2];
      for (int end = 0; end < 2; end++) {
        double level = end == 0 ? levels.lowest() : levels.highest();
        root[end] = Math.sqrt(NoiseLevels.signal(level));
        spread[end] =
            Math.sqrt(
                NoiseLevels.signal(level) * DEVIATIONS[axis] * DEVIATIONS[axis]
                    + NoiseLevels.noise(level));
      }
      double stretch = spread[1] / spread[0];
      double latent = root[1] * center + stretch * (start - root[0] * center);
      logDensity += Math.log(stretch) - 0.5 * latent * latent - 0.5 * Math.log(2 * Math.PI);
    }
    return logDensity;
  }

  private static FlowLikelihood.Result of(
      SchedulerConfig config, Denoiser denoiser, Trace trace, double tolerance) {
    try (FlowLikelihood likelihood =
        new FlowLikelihood(config, DEVICE, denoiser, trace, tolerance)) {
      return likelihood.of(DEVICE.tensor(POINT, 2), null, _ -> {});
    }
  }

  @ParameterizedTest
  @EnumSource(value = Prediction.class, mode = EnumSource.Mode.EXCLUDE, names = "FLOW")
  void agreesWithTheClosedForm(Prediction prediction) {
    SchedulerConfig config = CONFIG.withPrediction(prediction);
    FlowLikelihood.Result result = of(config, exact(config), new Trace.Exact(), 1e-8);
    assertEquals(closedForm(), result.mean(), 1e-6);
    assertEquals(1, result.nats().length);
    // A looser tolerance is nearly as good and cheaper.
    FlowLikelihood.Result loose = of(config, exact(config), new Trace.Exact(), 1e-4);
    assertEquals(closedForm(), loose.mean(), 1e-3);
    assertTrue(loose.evaluations() < result.evaluations());
  }

  @Test
  void probesAreUnbiased() {
    Trace probes = new Trace.Hutchinson(256, Rng.of(7));
    double[] nats = of(CONFIG, exact(CONFIG), probes, 1e-6).nats();
    assertEquals(256, nats.length);
    double mean = Arrays.stream(nats).average().orElseThrow();
    double variance =
        Arrays.stream(nats).map(v -> (v - mean) * (v - mean)).sum() / (nats.length - 1);
    // Signs cannot estimate the trace of this Jacobian without error.
    assertTrue(variance > 0.01, () -> "variance " + variance);
    assertEquals(closedForm(), mean, 5 * Math.sqrt(variance / nats.length));
    // In two dimensions all pairs of signs together are the exact trace.
    double alike = Arrays.stream(nats).max().orElseThrow();
    double opposite = Arrays.stream(nats).min().orElseThrow();
    assertEquals(closedForm(), (alike + opposite) / 2, 1e-4);
  }

  @Test
  void theFlowEndsWhereItShould() {
    double[] latent = of(CONFIG, exact(CONFIG), new Trace.Exact(), 1e-8).latent();
    assertEquals(2, latent.length);
    double prior = Arrays.stream(latent).map(v -> -0.5 * v * v).sum() - Math.log(2 * Math.PI);
    assertTrue(prior < 0 && prior > -10, () -> Arrays.toString(latent));
  }

  @Test
  void saysHowFarItIsAndStopsWhenInterrupted() {
    double[] last = {0};
    try (FlowLikelihood likelihood =
        new FlowLikelihood(CONFIG, DEVICE, exact(CONFIG), new Trace.Exact(), 1e-4)) {
      likelihood.of(
          DEVICE.tensor(POINT, 2),
          null,
          share -> {
            assertTrue(share > last[0]);
            last[0] = share;
          });
      assertEquals(1, last[0], 1e-12);
      Thread.currentThread().interrupt();
      assertThrows(
          CancellationException.class, () -> likelihood.of(DEVICE.tensor(POINT, 2), null, _ -> {}));
    } finally {
      assertTrue(Thread.interrupted());
    }
  }

  @Test
  void nothingThatIsNoNumberPasses() {
    Denoiser damaged = (x, _, _) -> x.mul(Double.NaN);
    ReverieException error =
        assertThrows(ReverieException.class, () -> of(CONFIG, damaged, new Trace.Exact(), 1e-4));
    assertTrue(error.getMessage().contains("gives NaN at timestep 0.0"), error::getMessage);
    // Noise that is new at every look has no path.
    int[] looks = {0};
    Denoiser rough =
        (x, _, _) -> x.add(Rng.of(++looks[0]).normal(DEVICE, x.shape().dims()).mul(10));
    ReverieException lost =
        assertThrows(ReverieException.class, () -> of(CONFIG, rough, new Trace.Exact(), 1e-8));
    assertTrue(lost.getMessage().contains("cannot keep to a tolerance"), lost::getMessage);
    assertThrows(
        ReverieException.class, () -> of(CONFIG, rough, new Trace.Hutchinson(0, Rng.of(1)), 1e-4));
    assertThrows(ReverieException.class, () -> of(CONFIG, rough, new Trace.Exact(), 0));
  }

  /** Of a flow of Gaussian data, which its own equation carries to N(0, 1) exactly. */
  @Test
  void aFlowsLikelihoodIsThatOfItsData() {
    SchedulerConfig config = SchedulerConfig.flow(3);
    Denoiser model = GaussianDenoiser.of(config.schedule(), 0.3, 0.7);
    double expected = 0;
    for (double x : POINT) {
      double z = (x - 0.3) / 0.7;
      expected -= 0.5 * z * z + Math.log(0.7) + 0.5 * Math.log(2 * Math.PI);
    }
    assertEquals(expected, of(config, model, new Trace.Exact(), 1e-9).mean(), 1e-6);
  }
}
