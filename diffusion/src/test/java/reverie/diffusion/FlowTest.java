// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.autograd.Tape;
import reverie.diffusion.analytic.GaussianChain;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** Flows as policies: their formulas, written here once more, and data that is known on paper. */
class FlowTest {
  private static final Device DEVICE = Device.reference();
  private static final SchedulerConfig DIFFUSERS = SchedulerConfig.flow(3);
  private static final SchedulerConfig UNIFORM =
      SchedulerConfig.flow(1).withSpacing(TimestepGrid.Spacing.TRAILING, 0);

  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  /**
   * The final variance for data N(0.3, 0.49) with noise in every step: flow_sde and dance_sde come
   * to .49 as steps get finer, CPS does not.
   */
  @ParameterizedTest
  @CsvSource({
    "FLOW_SDE, 10, .456400",
    "DANCE_SDE, 10, .425630",
    "CPS, 10, .278028",
    "FLOW_SDE, 640, .492633",
    "DANCE_SDE, 640, .488875",
    "CPS, 640, .352835",
  })
  void variancesAreThoseOnPaper(FlowNoise noise, int steps, double variance) {
    ReversePolicy policy = ReversePolicy.flow(UNIFORM, steps, noise, 0.7).deciding(_ -> true);
    assertEquals(variance, GaussianChain.of(policy, 0.3, 0.7).variance(), 5e-7);
  }

  @Test
  void theOdeComesToTheData() {
    GaussianChain chain =
        GaussianChain.of(ReversePolicy.flow(UNIFORM, 1000, FlowNoise.ODE, 0), 0.3, 0.7);
    assertEquals("ode, eta 0.0", ReversePolicy.flow(UNIFORM, 9, FlowNoise.ODE, 0.7).rule());
    assertEquals(0.49, chain.variance(), 2e-3);
    assertEquals(0.3, chain.mean(), 1e-3);
  }

  /**
   * Where all data is one point, CPS is exact, and a step of flow_sde is too wide by {@code
   * a²dt²/(1−σ)·(1 + a²/(4(1−σ)))}.
   */
  @Test
  void onAPointCpsIsExactAndFlowSdeTooWide() {
    for (FlowNoise noise : FlowNoise.values()) {
      StepCoefficients step = StepCoefficients.flow(noise, 0.7, 0.6, 0.5, 0.6);
      // v = (x − m)/σ.
      double factor = step.x() + step.output() / 0.6;
      double variance = factor * factor * 0.36 + step.sigma() * step.sigma();
      double excess =
          switch (noise) {
            case ODE, CPS -> 0;
            case FLOW_SDE -> 0.0160015625;
            case DANCE_SDE -> variance - 0.25;
          };
      assertEquals(excess, variance - 0.25, 1e-12, noise.name());
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = FlowNoise.class,
      mode = EnumSource.Mode.EXCLUDE,
      names = {"ODE"})
  void aStepIsItsFormula(FlowNoise noise) {
    double level = 0.6;
    int steps = 4;
    ReversePolicy policy = ReversePolicy.flow(DIFFUSERS, steps, noise, level);
    assertArrayEquals(new int[] {0, 1, 2}, policy.decisions());
    double[] sigmas = {1, .857692307692308, .602150537634409, .008928571428571, 0};
    Tensor x = Rng.of(1).normal(DEVICE, 1, 3);
    Tensor v = Rng.of(2).normal(DEVICE, 1, 3);
    Tensor next = Rng.of(3).normal(DEVICE, 1, 3);
    for (int i = 0; i < steps - 1; i++) {
      double sigma = sigmas[i];
      double dt = sigmas[i + 1] - sigma;
      double[] clean = x.sub(v.mul(sigma)).toDoubles();
      double[] epsilon = x.add(v.mul(1 - sigma)).toDoubles();
      double g =
          noise == FlowNoise.DANCE_SDE
              ? level
              : level * Math.sqrt(sigma / (1 - (sigma == 1 ? sigmas[1] : sigma)));
      double s =
          noise == FlowNoise.CPS
              ? sigmas[i + 1] * Math.sin(level * Math.PI / 2)
              : g * Math.sqrt(-dt);
      double logProb = 0;
      double[] mean = new double[3];
      for (int k = 0; k < 3; k++) {
        mean[k] =
            noise == FlowNoise.CPS
                ? (1 - sigmas[i + 1]) * clean[k]
                    + Math.sqrt(sigmas[i + 1] * sigmas[i + 1] - s * s) * epsilon[k]
                : x.toDoubles()[k] + v.toDoubles()[k] * dt + g * g / (2 * sigma) * epsilon[k] * dt;
        double z = (next.toDoubles()[k] - mean[k]) / s;
        logProb += (-z * z / 2 - Math.log(s) - Math.log(2 * Math.PI) / 2) / 3;
      }
      ReversePolicy.Step step = policy.step(x, v, i);
      assertArrayEquals(mean, step.mean().toDoubles(), 1e-11);
      assertEquals(logProb, policy.logProb(next, step).item(), 1e-9 * Math.abs(logProb));
      ReversePolicy.Step other = policy.step(x, v.add(0.1), i);
      double gap = policy.outputFactor(i) * 0.1 / s;
      assertEquals(gap * gap / 2, policy.divergence(step, other).item(), 1e-9);
      int at = i;
      Tensor output = v;
      Tape.Result result =
          Tape.run(List.of(output), () -> policy.logProb(next, policy.step(x, output, at)).sum());
      double[] gradient = result.gradient(output).toDoubles();
      for (int k = 0; k < 3; k++) {
        double expected = (next.toDoubles()[k] - mean[k]) / (s * s) * policy.outputFactor(i) / 3;
        assertEquals(expected, gradient[k], 1e-8 * Math.max(1, Math.abs(expected)));
      }
    }
    assertThrows(ReverieException.class, () -> policy.logProb(next, policy.step(x, v, steps - 1)));
  }

  /** Chains that are drawn have the mean and variance of the closed form. */
  @ParameterizedTest
  @EnumSource(FlowNoise.class)
  void samplesFollowTheClosedForm(FlowNoise noise) {
    ReversePolicy policy = ReversePolicy.flow(DIFFUSERS, 8, noise, 0.7);
    Denoiser model = GaussianDenoiser.of(policy.schedule(), 0.3, 0.7);
    Rng[] rows = IntStream.range(0, 40).mapToObj(i -> Sampler.row(1, 2, i)).toArray(Rng[]::new);
    Trajectory drawn = new Sampler(policy, DEVICE).rollout(model, null, rows, 100);
    double[] x = drawn.result().toDoubles();
    GaussianChain chain = GaussianChain.of(policy, 0.3, 0.7);
    double mean = Arrays.stream(x).average().orElseThrow();
    double variance = Arrays.stream(x).map(v -> (v - mean) * (v - mean)).sum() / (x.length - 1);
    assertEquals(chain.mean(), mean, 5 * Math.sqrt(chain.variance() / x.length));
    assertEquals(chain.variance(), variance, 5 * chain.variance() * Math.sqrt(2.0 / x.length));
    assertArrayEquals(x, new Sampler(policy, DEVICE).sample(model, null, rows, 100).toDoubles(), 0);
    for (int i : policy.decisions()) {
      Tensor output = model.predict(drawn.before(i), policy.timesteps(drawn.before(i), i), null);
      assertArrayEquals(
          drawn.logProb(i).toDoubles(),
          policy.logProb(drawn.after(i), policy.step(drawn.before(i), output, i)).toDoubles(),
          0);
    }
  }

  @Test
  void trainingAsksForTheVelocity() {
    DenoisingLoss loss = DenoisingLoss.of(DIFFUSERS);
    int n = 4000;
    Rng[] rows = IntStream.range(0, n).mapToObj(i -> Rng.of(5).fork(i)).toArray(Rng[]::new);
    Tensor original = Rng.of(1).normal(DEVICE, n, 2);
    DenoisingLoss.NoiseDraw draw = loss.draw(original, rows);
    DenoisingLoss.NoisedBatch noised = loss.noised(original, draw);
    double[] x0 = original.toDoubles();
    double[] noise = draw.noise().toDoubles();
    int below = 0;
    for (int i = 0; i < 2 * n; i++) {
      double sigma = draw.timesteps()[i / 2] / 1000;
      assertEquals((1 - sigma) * x0[i] + sigma * noise[i], noised.x().toDoubles()[i], 1e-12);
      assertEquals(noise[i] - x0[i], noised.target().toDoubles()[i], 1e-12);
      below += sigma < 0.75 ? 1 : 0;
      if (i == 9) {
        break;
      }
    }
    // Half of all uniform u lie below the shifted σ of ½, which is ¾.
    below = (int) Arrays.stream(draw.timesteps()).filter(t -> t < 750).count();
    assertEquals(n / 2, below, 5 * Math.sqrt(n / 4.0));
    assertEquals(0.0, noised.perSample((x, t, _) -> noised.target(), null).mean().item());
    NoiseSchedule normal = NoiseSchedule.logitNormalFlow(1000, 1, 0, 1);
    assertEquals(500, normal.timestepAt(0.5), 1e-9);
    assertEquals(1000 / (1 + Math.exp(1)), normal.timestepAt(0.158655253931457), 1e-6);
    assertEquals(0, normal.timestepAt(0));
    assertEquals(750, NoiseSchedule.logitNormalFlow(1000, 3, 0, 1).timestepAt(0.5), 1e-9);
    assertThrows(
        ReverieException.class,
        () -> new DenoisingLoss(normal, Prediction.FLOW, 5).noised(original, draw));
  }

  @Test
  void wrongUsesAreNamed() {
    SchedulerConfig diffusion = SchedulerConfig.stableDiffusion();
    assertTrue(
        assertThrows(
                ReverieException.class, () -> ReversePolicy.flow(diffusion, 5, FlowNoise.CPS, 0.5))
            .getMessage()
            .contains("expected a flow"));
    assertTrue(
        assertThrows(ReverieException.class, () -> ReversePolicy.ddim(DIFFUSERS, 5, 1))
            .getMessage()
            .contains("the model is a flow"));
    assertThrows(
        ReverieException.class, () -> ReversePolicy.flow(DIFFUSERS, 5, FlowNoise.CPS, 1.5));
    assertThrows(
        ReverieException.class, () -> ReversePolicy.flow(DIFFUSERS, 5, FlowNoise.FLOW_SDE, -1));
    assertThrows(
        ReverieException.class,
        () -> ReversePolicy.flow(DIFFUSERS, 5, FlowNoise.ODE, 0).requireDecisions("test"));
  }
}
