// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.analytic.GaussianChain;
import reverie.rl.Statistics;
import reverie.rl.advantage.Advantages;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.advantage.GroupAdvantages.Deviation;
import reverie.rl.advantage.GroupAdvantages.Scale;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.DpokPublished;
import reverie.rl.objective.Grpo;
import reverie.rl.objective.StepObjective;
import reverie.rl.objective.ValueFunction;
import reverie.rl.prompt.Prompt;
import reverie.rl.prove.GaussianPolicy;
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

  /** What is estimated: rewards are linear, so that all of it is known. */
  private record Estimator(
      StepObjective objective, Advantages advantages, int groupSize, double klWeight) {
    static Estimator of(StepObjective objective) {
      return new Estimator(objective, null, SAMPLES, 0);
    }

    double[] exact(GaussianChain chain, double... biases) {
      double[] exact = chain.gains();
      double scale = advantages == null ? 1 : scale(chain.variance());
      for (int i = 0; i < exact.length; i++) {
        double sigma = chain.sigmas()[i];
        exact[i] = scale * exact[i] - klWeight * biases[i] / (sigma * sigma);
      }
      return exact;
    }

    /**
     * What dividing by a group's own deviation s does: a step's noise z is a multiple of the reward
     * plus something independent of all rewards, so that the mean of A z is that of r z times E[s]
     * / Var r. The s of n normal numbers has the chi distribution of n - 1 of them, over √n.
     */
    private double scale(double variance) {
      double gammas = 1 / Math.sqrt(Math.PI);
      for (int n = 2; n < groupSize; n += 2) {
        gammas *= n / (n - 1.0);
      }
      return Math.sqrt(2.0 / groupSize) * gammas / Math.sqrt(variance);
    }
  }

  @Test
  void scoreFunctionOnTheWeightsThatDrew() {
    check(Estimator.of(new DdpoScoreFunction()), OLD, OLD);
  }

  @Test
  void importanceSampledOnTheWeightsThatDrewWhateverTheClipping() {
    check(Estimator.of(new DdpoImportanceSampled(1e-6, 1e9)), OLD, OLD);
  }

  @Test
  void groupFormWithItsDivergence() {
    var groups = new GroupAdvantages(Scale.GROUP, Deviation.POPULATION);
    check(new Estimator(new Grpo(1e-6, 1e9), groups, 4, 1), OLD, OLD);
  }

  @Test
  void publishedDpokOnTheWeightsThatDrew() {
    check(Estimator.of(new DpokPublished(1e-6, new ValueFunction(2, 1e-2, 0, 1))), OLD, OLD);
  }

  @Test
  void aLearntBaselineKeepsItUnbiasedAndLowersItsVariance() {
    double[] without = check(Estimator.of(new DdpoImportanceSampled(1e-6, 1e9)), OLD, OLD);
    var dpok = new Dpok(1e-6, 1e9, new ValueFunction(8, 1e-2, 200, 64));
    double[] with = check(new Estimator(dpok, null, SAMPLES, 1), OLD, OLD);
    for (int step = 7; step < GaussianPolicy.STEPS; step++) {
      assertTrue(with[step] < 0.8 * without[step], with[step] + " and " + without[step]);
    }
  }

  /** The reward is linear, so that re-weighting single steps is exact here. */
  @Test
  void importanceSampledOnOtherWeights() {
    check(Estimator.of(new DdpoImportanceSampled(1e9, 1e9)), OLD, NEW);
  }

  /** Returns the standard error of each step's estimate. */
  private static double[] check(Estimator estimator, double[] old, double[] now) {
    try (var gaussian = new GaussianPolicy(Device.reference());
        var sums = new GradientAccumulator(gaussian.policy().parameters().trainable());
        var fleet = fleet(gaussian, estimator, sums);
        var learner =
            new StepLearner(gaussian.policy(), estimator.objective, settings(estimator), fleet)) {
      try (Scope _ = Scope.open("an earlier epoch")) {
        learner.begin(scored(gaussian, fleet, estimator, old, 1000), new Diagnostics(), _ -> {});
        learner.finishEpoch(0);
      }
      double[][] gradients = new double[BATCHES][];
      for (int batch = 0; batch < BATCHES; batch++) {
        try (Scope _ = Scope.open("batch")) {
          Learner.Scored scored = scored(gaussian, fleet, estimator, old, batch);
          gaussian.bias(now);
          learner.begin(scored, new Diagnostics(), _ -> {});
          assertEquals(GaussianPolicy.STEPS, learner.itemsPerSample());
          int[][] all = {IntStream.range(0, SAMPLES).toArray()};
          learner.differentiate(all, Rng.of(2));
          // The gradient of what is estimated: the objective's is that of its negative, a mean.
          gradients[batch] =
              Arrays.stream(sums.gradient(gaussian.biases()).toDoubles())
                  .map(g -> -g * GaussianPolicy.STEPS)
                  .toArray();
        }
      }
      double[] exact = estimator.exact(gaussian.chain(), now);
      double[] gains = gaussian.chain().gains();
      double[] errors = new double[exact.length];
      for (int step = 0; step < exact.length; step++) {
        int at = step;
        double[] estimates = Arrays.stream(gradients).mapToDouble(g -> g[at]).toArray();
        double error = Statistics.std(estimates, 1) / Math.sqrt(BATCHES);
        errors[step] = error;
        double off = Math.abs(Statistics.mean(estimates) - exact[step]);
        assertTrue(
            off < 5 * error,
            () -> estimator + ", step " + at + ": off by " + off / error + " standard errors");
        assertTrue(error < Math.max(0.1, gains[step]) * 2, "step " + step + " error " + error);
      }
      return errors;
    }
  }

  private static TrainerSettings settings(Estimator estimator) {
    return TrainerSettings.defaults()
        .with(it -> {
          it.trainingBatch(SAMPLES);
          it.seed(3);
          it.klWeight(estimator.klWeight);
        });
  }

  private static LocalFleet fleet(
      GaussianPolicy gaussian, Estimator estimator, GradientAccumulator sums) {
    return new LocalFleet(
        new Fleet.Job(
            gaussian.policy(),
            estimator.objective,
            GaussianPolicy.SAMPLE,
            settings(estimator),
            sums));
  }

  private static Learner.Scored scored(
      GaussianPolicy gaussian, LocalFleet fleet, Estimator estimator, double[] old, int batch) {
    Drawn rollout = rollout(gaussian, estimator, old, batch);
    fleet.forget();
    fleet.hold(rollout.rollout());
    return new Learner.Scored(rollout.samples(), advantages(gaussian, estimator, rollout, old));
  }

  private static Drawn rollout(
      GaussianPolicy gaussian, Estimator estimator, double[] old, int batch) {
    List<Prompt> prompts =
        IntStream.range(0, SAMPLES)
            .mapToObj(i -> new Prompt("x" + i / estimator.groupSize))
            .toList();
    gaussian.bias(old);
    return Drawn.of(
        gaussian.policy(), prompts, Rng.of(1).fork(batch), SAMPLES, GaussianPolicy.SAMPLE);
  }

  /** Rewards less the known mean, unless there are advantages of another kind. */
  private static double[] advantages(
      GaussianPolicy gaussian, Estimator estimator, Drawn rollout, double... old) {
    double mean = gaussian.chain().mean(old);
    return estimator.advantages == null
        ? Arrays.stream(rollout.rewards()).map(r -> r - mean).toArray()
        : estimator.advantages.of(rollout.texts(), rollout.rewards());
  }
}
