// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion.analytic;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.autograd.Tape;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.Sampler;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.Trajectory;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** The chain that can be solved on paper, against its published numbers and against sampling. */
class GaussianTest {
  private static final SchedulerConfig STABLE = SchedulerConfig.stableDiffusion();
  private static final double[] FACTORS = {
    .608460783933, .64457004129, .671371599659, .687509373373, .693729814847,
    .693002545077, .69069342218, .695363682537, .719587704329, .997024762029
  };
  private static final double[] SHIFTS = {
    .119164810138, .162987568201, .207616571015, .249557581504, .286499047179,
    .316690240466, .33726171054, .341913966289, .319154198845, .003399961008
  };
  private static final double[] SIGMAS = {
    .776332164321, .726481736055, .667887455269, .601187686177, .527608981551,
    .448089988123, .361792178198, .260956870771, .040984186623, .020648320165
  };
  private static final double[] GAINS = {
    .049286036935,
    .07646343109,
    .11389136974,
    .165657915588,
    .238793132488,
    .34457756928,
    .498886420827,
    .717446759668,
    .997024762029,
    1
  };

  @Test
  void chainOfTenStepsHasThePublishedNumbers() {
    GaussianChain chain = GaussianChain.of(ReversePolicy.ddim(STABLE, 10, 1), 1, 0.5);
    assertArrayEquals(FACTORS, chain.factors(), 1e-12);
    assertArrayEquals(SHIFTS, chain.shifts(), 1e-12);
    assertArrayEquals(SIGMAS, chain.sigmas(), 1e-12);
    assertArrayEquals(GAINS, chain.gains(), 1e-12);
    assertEquals(.029988620670, chain.startGain(), 1e-12);
    assertEquals(.129693757304, chain.varianceOfSteps(), 1e-12);
    double[] optimum = {.0594, .0807, .1016, .1197, .1329, .1384, .1306, .0977, .0033, .0009};
    assertArrayEquals(optimum, chain.optimum(1, 0.5), 5.1e-5);
    assertEquals(.25939, chain.mean(chain.optimum(1, 0.5)) - chain.mean(), 5e-6);
  }

  @ParameterizedTest
  @CsvSource({
    "1, .5, 1, 50, .998120436898, .205738354321",
    "1, .5, 1, 10, .996025987568, .130593074673",
    "1, .5, .5, 50, .982486194285, .223770728115",
    "1, .5, 0, 50, .963204903327, .229032521506",
    "1, .5, 0, 10, .951459603578, .165305216493",
    "0, 1, 1, 50, 0, .894304276609",
    "0, 1, 0, 50, 0, .947923558195",
    "0, 1, 1, 10, 0, .647805360677",
  })
  void momentsOfSamplesAreThePublishedOnes(
      double mean,
      double deviation,
      double eta,
      int steps,
      double sampleMean,
      double sampleVariance) {
    GaussianChain chain = GaussianChain.of(ReversePolicy.ddim(STABLE, steps, eta), mean, deviation);
    assertEquals(sampleMean, chain.mean(), 1e-11);
    assertEquals(sampleVariance, chain.variance(), 1e-11);
  }

  @ParameterizedTest
  @CsvSource({"1, 50", "1, 10", "0.5, 10", "0, 10"})
  void samplesHaveTheMomentsOfTheChain(double eta, int steps) {
    ReversePolicy policy = ReversePolicy.ddim(STABLE, steps, eta);
    GaussianChain chain = GaussianChain.of(policy, 1, 0.5);
    try (Scope _ = Scope.open("test")) {
      Rng[] rows = IntStream.range(0, 400).mapToObj(i -> Sampler.row(7, i, 0)).toArray(Rng[]::new);
      double[] x =
          new Sampler(policy, Device.reference())
              .sample(GaussianDenoiser.of(policy.schedule(), 1, 0.5), null, rows, 5, 5, 2)
              .toDoubles();
      double mean = Arrays.stream(x).average().orElseThrow();
      double variance = Arrays.stream(x).map(v -> (v - mean) * (v - mean)).average().orElseThrow();
      double n = x.length;
      assertEquals(chain.mean(), mean, 5 * Math.sqrt(chain.variance() / n));
      assertEquals(chain.variance(), variance, 5 * chain.variance() * Math.sqrt(2 / n));
    }
  }

  @Test
  void biasesMoveTheMeansOfTheirSteps() {
    ReversePolicy policy = ReversePolicy.ddim(STABLE, 10, 1);
    try (Scope _ = Scope.open("test")) {
      Device device = Device.reference();
      double[] m = IntStream.range(0, 10).mapToDouble(i -> 0.1 * i - 0.3).toArray();
      Tensor biases = device.tensor(m, 10);
      GaussianDenoiser plain = GaussianDenoiser.of(policy.schedule(), 1, 0.5);
      GaussianDenoiser biased = plain.biased(policy, biases);
      Tensor x = Rng.of(3).normal(device, 3, 2);
      int[] steps = {0, 4, 9};
      Tensor t = policy.timesteps(x, steps);
      double[] before = policy.step(x, plain.predict(x, t, null), steps).mean().toDoubles();
      double[] after = policy.step(x, biased.predict(x, t, null), steps).mean().toDoubles();
      for (int i = 0; i < 6; i++) {
        assertEquals(m[steps[i / 2]], after[i] - before[i], 1e-13);
      }

      // d lp / d m is the mean of (x' − mean)/σ² over the elements.
      Tensor next = Rng.of(4).normal(device, 3, 2);
      double[] gradient =
          Tape.run(
                  List.of(biases),
                  () ->
                      policy.logProb(next, policy.step(x, biased.predict(x, t, null), steps)).sum())
              .gradient(biases)
              .toDoubles();
      double[] expected = new double[10];
      for (int i = 0; i < 6; i++) {
        int step = steps[i / 2];
        expected[step] +=
            (next.toDoubles()[i] - after[i]) / (policy.sigma(step) * policy.sigma(step)) / 2;
      }
      assertArrayEquals(expected, gradient, 1e-9);
    }
  }

  /**
   * REINFORCE on the mean of x_0: the known gradient G_i, in a 5-sigma interval, divided by the
   * elements over which log-probabilities are means.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 4})
  void logProbabilitiesGiveTheGradientOfTheExpectedReward(int elements) {
    ReversePolicy policy = ReversePolicy.ddim(STABLE, 10, 1);
    GaussianChain chain = GaussianChain.of(policy, 1, 0.5);
    int n = 4000;
    try (Scope _ = Scope.open("test")) {
      Device device = Device.reference();
      Tensor biases = device.zeros(10);
      GaussianDenoiser model =
          GaussianDenoiser.of(policy.schedule(), 1, 0.5).biased(policy, biases);
      Rng[] rows = IntStream.range(0, n).mapToObj(i -> Sampler.row(11, 0, i)).toArray(Rng[]::new);
      Trajectory trajectory = new Sampler(policy, device).rollout(model, null, rows, elements);
      Tensor reward = trajectory.result().mean(1).sub(chain.mean());
      double[] gradient =
          Tape.run(
                  List.of(biases),
                  () -> {
                    Tensor total = device.scalar(0);
                    for (int i : policy.decisions()) {
                      Tensor x = trajectory.before(i);
                      ReversePolicy.Step step =
                          policy.step(x, model.predict(x, policy.timesteps(x, i), null), i);
                      total =
                          total.add(policy.logProb(trajectory.after(i), step).mul(reward).sum());
                    }
                    return total.mul(1.0 / n);
                  })
              .gradient(biases)
              .toDoubles();
      for (int i = 0; i < 10; i++) {
        // Var(r·z/σ) = (Var r + G²σ²)/σ² for jointly normal r and z, by which means of D elements
        // are 1/D² of it.
        double s = policy.sigma(i);
        double g = chain.gains()[i];
        double spread = Math.sqrt((chain.variance() + g * g * s * s) / (s * s) / n);
        assertEquals(g / elements, gradient[i], 5 * spread / elements);
      }
    }
  }

  @Test
  void biasesNeedALinearChainOfTheirLength() {
    try (Scope _ = Scope.open("test")) {
      GaussianDenoiser model = GaussianDenoiser.of(STABLE.schedule(), 1, 0.5);
      Tensor ten = Device.reference().zeros(10);
      ReversePolicy five = ReversePolicy.ddim(STABLE, 5, 1);
      ReversePolicy clipping = ReversePolicy.ddim(STABLE.withClipping(1), 10, 1);
      assertThrows(ReverieException.class, () -> model.biased(five, ten));
      assertThrows(ReverieException.class, () -> model.biased(clipping, ten));
    }
  }
}
