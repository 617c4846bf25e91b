// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.autograd.optim.GradientAccumulator;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.DpokPublished;
import reverie.rl.objective.StepObjective;
import reverie.rl.objective.ValueFunction;
import reverie.rl.prompt.Prompt;
import reverie.rl.prove.GaussianPolicy;
import reverie.rl.reward.RewardRunner;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;

/**
 * The estimators against the gradient of the expected reward, which is known for a Gaussian chain.
 */
class UnbiasednessTest {
  private static final int BATCHES = 40;
  private static final int SAMPLES = 128;
  private static final double[] OLD = {.1, -.1, .05, 0, -.05, .1, .1, -.1, .005, -.002};
  private static final double[] NEW = {.2, 0, -.05, .1, -.1, .15, .05, -.05, 0, .001};

  @Test
  void scoreFunctionOnTheWeightsThatDrew() {
    check(new DdpoScoreFunction(), OLD, OLD);
  }

  @Test
  void importanceSampledOnTheWeightsThatDrewWhateverTheClipping() {
    check(new DdpoImportanceSampled(1e-6, 1e9), OLD, OLD);
  }

  @Test
  void publishedDpokOnTheWeightsThatDrew() {
    check(new DpokPublished(1e-6, new ValueFunction(2, 1e-2, 0, 1)), OLD, OLD);
  }

  @Test
  void aLearntBaselineKeepsItUnbiasedAndLowersItsVariance() {
    double[] without = check(new DdpoImportanceSampled(1e-6, 1e9), OLD, OLD);
    double[] with = check(new Dpok(1e-6, 1e9, new ValueFunction(8, 1e-2, 200, 64)), OLD, OLD);
    for (int step = 7; step < GaussianPolicy.STEPS; step++) {
      assertTrue(with[step] < 0.8 * without[step], with[step] + " and " + without[step]);
    }
  }

  /** The reward is linear, so that re-weighting single steps is exact here. */
  @Test
  void importanceSampledOnOtherWeights() {
    check(new DdpoImportanceSampled(1e9, 1e9), OLD, NEW);
  }

  /** Returns the standard error of each step's estimate. */
  private static double[] check(StepObjective objective, double[] old, double[] now) {
    try (var gaussian = new GaussianPolicy(Device.reference());
        ValueBaseline baseline = baseline(gaussian, objective, old)) {
      double[][] gradients = new double[BATCHES][];
      for (int batch = 0; batch < BATCHES; batch++) {
        gradients[batch] = gradient(gaussian, objective, baseline, old, now, batch);
      }
      double[] exact = gaussian.chain().gains();
      double[] errors = new double[exact.length];
      for (int step = 0; step < exact.length; step++) {
        int at = step;
        double[] estimates = Arrays.stream(gradients).mapToDouble(g -> g[at]).toArray();
        double error = Statistics.std(estimates, 1) / Math.sqrt(BATCHES);
        errors[step] = error;
        double off = Math.abs(Statistics.mean(estimates) - exact[step]);
        assertTrue(
            off < 5 * error,
            () -> objective + ", step " + at + ": off by " + off / error + " standard errors");
        assertTrue(error < Math.max(0.1, exact[step]) * 2, "step " + step + " error " + error);
      }
      return errors;
    }
  }

  /** What the objective would have learnt from an earlier epoch; null for nothing. */
  private static ValueBaseline baseline(
      GaussianPolicy gaussian, StepObjective objective, double... old) {
    if (objective.baseline().isEmpty()) {
      return null;
    }
    var baseline = new ValueBaseline(gaussian.policy(), objective.baseline().orElseThrow(), 3);
    try (Scope _ = Scope.open("baseline")) {
      Rollout rollout = rollout(gaussian, old, 1000);
      baseline.fit(rollout, centred(gaussian, rollout, old), 0, new Diagnostics());
    }
    return baseline;
  }

  private static Rollout rollout(GaussianPolicy gaussian, double[] old, int batch) {
    List<Prompt> prompts = Collections.nCopies(SAMPLES, new Prompt("x"));
    gaussian.bias(old);
    try (var rewards = new RewardRunner(GaussianPolicy.SAMPLE, Duration.ofSeconds(30))) {
      return Rollout.draw(
          gaussian.policy(), prompts, Rng.of(1).fork(batch), SAMPLES, rewards, _ -> {});
    }
  }

  private static double[] centred(GaussianPolicy gaussian, Rollout rollout, double... old) {
    return Arrays.stream(rollout.rewards()).map(r -> r - gaussian.chain().mean(old)).toArray();
  }

  /** The gradient of the mean reward: the objective's is that of its negative, over the steps. */
  private static double[] gradient(
      GaussianPolicy gaussian,
      StepObjective objective,
      ValueBaseline baseline,
      double[] old,
      double[] now,
      int batch) {
    TrainerSettings settings = TrainerSettings.defaults().but(it -> it.trainingBatch = SAMPLES);
    try (Scope _ = Scope.open("batch");
        var gradients = new GradientAccumulator(gaussian.policy().parameters().trainable());
        var pass = new StepGradient(gaussian.policy(), objective, 0, gradients)) {
      Rollout rollout = rollout(gaussian, old, batch);
      gaussian.bias(now);
      var driver =
          new StepDriver(
              gaussian.policy(),
              objective,
              pass,
              settings,
              rollout,
              centred(gaussian, rollout, old),
              baseline == null ? null : baseline.values(rollout),
              new Diagnostics(),
              _ -> {});
      assertEquals(GaussianPolicy.STEPS, driver.itemsPerSample());
      int[] all = java.util.stream.IntStream.range(0, SAMPLES).toArray();
      driver.accumulate(all, Rng.of(2));
      return Arrays.stream(gradients.gradient(gaussian.biases()).toDoubles())
          .map(g -> -g * GaussianPolicy.STEPS)
          .toArray();
    }
  }
}
