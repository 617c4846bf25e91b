// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.diffusion.analytic.GaussianChain;
import reverie.diffusion.analytic.GaussianDenoiser;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The solver of second order against numbers of diffusers' DPMSolverMultistepScheduler
 * (dpmsolver++, midpoint), whose formulas were carried out in float64.
 */
class DpmSolverTest {
  private static final Device DEVICE = Device.reference();
  static final Denoiser MODEL =
      (x, timesteps, _) ->
          x.sigmoid().mul(0.8).add(timesteps.reshape(timesteps.dim(0), 1).mul(1.0 / 2000));

  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @ParameterizedTest
  @CsvSource({
    "5, LEADING, 1, true, 1.795219899687, 2.179406796666, 2.034654339871",
    "5, LINSPACE, 0, true, 2.159243105085, 3.245861717535, 3.241446680513",
    "20, TRAILING, 0, true, 1.433638144852, 3.530043102726, 3.437966299443",
    "20, LEADING, 1, false, 1.426003378381, 2.956978395152, 2.892674840214",
  })
  void hasTheNumbersOfDiffusers(
      int steps,
      TimestepGrid.Spacing spacing,
      int offset,
      boolean endsClean,
      double second,
      double lastButOne,
      double last) {
    ReversePolicy policy =
        ReversePolicy.dpmSolver(
            SchedulerConfig.stableDiffusion().withSpacing(spacing, offset).withEndsClean(endsClean),
            steps);
    assertEquals(0, policy.decisions().length);
    Trajectory chain =
        new Sampler(policy, DEVICE).from(MODEL, null, DEVICE.tensor(new double[] {1.3}, 1, 1));
    assertEquals(second, chain.after(1).item(), 1e-11);
    assertEquals(lastButOne, chain.after(steps - 2).item(), 1e-11);
    assertEquals(last, chain.after(steps - 1).item(), 1e-11);
  }

  /** As {@code lower_order_final} of diffusers has it. */
  @ParameterizedTest
  @CsvSource({"14, false", "15, true"})
  void fewStepsEndByTheFirstOrder(int steps, boolean second) {
    ReversePolicy policy =
        ReversePolicy.dpmSolver(SchedulerConfig.stableDiffusion().withEndsClean(false), steps);
    Tensor one = DEVICE.full(1, 1, 1);
    Tensor zero = DEVICE.zeros(1, 1);
    double correction = policy.corrected(zero, one, zero, policy.position(zero, steps - 1)).item();
    assertEquals(second, correction != 0);
  }

  private static double error(ReversePolicy policy, SchedulerConfig config) {
    Rng[] rows = IntStream.range(0, 2).mapToObj(i -> Sampler.row(1, 2, i)).toArray(Rng[]::new);
    Denoiser model = GaussianDenoiser.of(config.schedule(), 0.3, 0.7);
    double[] drawn = new Sampler(policy, DEVICE).sample(model, null, rows, 3).toDoubles();
    double[] start =
        Rng.normalRows(DEVICE, new Rng[] {rows[0].fork(1000), rows[1].fork(1000)}, 3).toDoubles();
    double worst = 0;
    for (int i = 0; i < drawn.length; i++) {
      worst = Math.max(worst, Math.abs(drawn[i] - (0.3 + 0.7 * start[i])));
    }
    return worst;
  }

  /** A flow of Gaussian data ends at mean + deviation·x_T. */
  @Test
  void itsErrorFallsWithTheSquareOfTheSteps() {
    SchedulerConfig flow = SchedulerConfig.flow(1).withSpacing(TimestepGrid.Spacing.TRAILING, 0);
    double coarse = error(ReversePolicy.dpmSolver(flow, 20), flow);
    double fine = error(ReversePolicy.dpmSolver(flow, 80), flow);
    double first = error(ReversePolicy.flow(flow, 80, FlowNoise.ODE, 0), flow);
    assertTrue(fine < coarse / 8, coarse + " " + fine);
    // A flow ends at its data whatever the file says of ᾱ.
    assertEquals(coarse, error(ReversePolicy.dpmSolver(flow.withEndsClean(false), 20), flow));
    assertTrue(fine < first / 4, first + " " + fine);
  }

  @Test
  void chanceBeginsItAnew() {
    SchedulerConfig config = SchedulerConfig.stableDiffusion();
    ReversePolicy window =
        ReversePolicy.ddim(config, 20, 1).secondOrder().deciding(i -> i == 5 || i == 6);
    assertTrue(window.isSecondOrder());
    assertArrayEquals(new int[] {5, 6}, window.decisions());
    assertArrayEquals(
        new int[] {5},
        ReversePolicy.ddim(config, 20, 1).deciding(i -> i == 5).secondOrder().decisions());
    ReversePolicy first = ReversePolicy.ddim(config, 20, 1).deciding(i -> i == 5 || i == 6);
    assertEquals(
        GaussianChain.of(first, 0, 1).sigmas()[5], GaussianChain.of(window, 0, 1).sigmas()[5]);
    Rng[] rows = {Sampler.row(1, 2, 3)};
    Denoiser model = GaussianDenoiser.of(config.schedule(), 0.3, 0.7);
    Trajectory plain = new Sampler(first, DEVICE).rollout(model, null, rows, 2);
    Trajectory second = new Sampler(window, DEVICE).rollout(model, null, rows, 2);
    // The first step of all, and the first after the decisions, have nothing to look back at.
    assertArrayEquals(plain.after(0).toDoubles(), second.after(0).toDoubles(), 1e-12);
    assertTrue(Math.abs(plain.after(1).toDoubles()[0] - second.after(1).toDoubles()[0]) > 1e-9);
    double[] x = second.before(7).toDoubles();
    double[] after = second.after(7).toDoubles();
    GaussianChain chain = GaussianChain.of(first, 0.3, 0.7);
    for (int k = 0; k < 2; k++) {
      assertEquals(chain.factors()[7] * x[k] + chain.shifts()[7], after[k], 1e-10);
    }
  }
}
