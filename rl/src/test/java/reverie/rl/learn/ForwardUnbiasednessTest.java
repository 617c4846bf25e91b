// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.ReversePolicy;
import reverie.rl.Statistics;
import reverie.rl.objective.AdvantageWeightedMatching;
import reverie.rl.objective.AdvantageWeightedMatching.Weight;
import reverie.rl.objective.CenteredRewardDistillation;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.DenoisingObjective.Lag;
import reverie.rl.objective.DiffusionNft;
import reverie.rl.objective.DirectGroupPreference;
import reverie.rl.prompt.Prompt;
import reverie.rl.prove.GaussianPolicy;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;

/**
 * Objectives of the forward process at the model that drew: with advantages {@code κ·(x_0 − mean)}
 * the gradient by the bias m of a step is {@code E[A ∂e] = 2κ/f · Cov(x_0, ε̂ − ε) = 2κ/f ·
 * k·√ᾱ·Var x_0}, f being the output's factor in the step's mean and k that of x_t in ε̂. Each of
 * the sampler's steps but the last is as likely as another.
 */
class ForwardUnbiasednessTest {
  private static final int BATCHES = 24;
  private static final int SAMPLES = 64;
  private static final int GROUP = 4;
  private static final double KAPPA = 1.1;

  /**
   * Of CRD's advantages the mean of the group is taken off, in which a sample has its own share.
   */
  static Stream<Arguments> objectives() {
    return Stream.of(
        Arguments.of(new DiffusionNft(0.5, false, 50, 0, Lag.NONE, 4), 1),
        Arguments.of(
            new AdvantageWeightedMatching(Weight.UNIFORM, 1, 1e-6, 50, 0, 0, Lag.NONE, 4), 1),
        Arguments.of(new CenteredRewardDistillation(2, false, 50, 0, Lag.NONE, 4), 1 - 1.0 / GROUP),
        Arguments.of(new DirectGroupPreference(100, 50, 4), 0.5));
  }

  @ParameterizedTest
  @MethodSource("objectives")
  void theKnownGradientIsWithinFiveStandardErrors(DenoisingObjective objective, double share) {
    TrainerSettings settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.samplesPerPrompt(GROUP);
              it.trainingBatch(SAMPLES);
            });
    try (var gaussian = new GaussianPolicy(Device.reference());
        var sums = new GradientAccumulator(gaussian.policy().parameters().trainable());
        var fleet =
            new LocalFleet(
                new Fleet.Job(
                    gaussian.policy(), objective, GaussianPolicy.SAMPLE, settings, sums));
        var learner = new DenoisingLearner(gaussian.policy(), objective, settings, fleet)) {
      double[][] gradients = new double[BATCHES][];
      for (int batch = 0; batch < BATCHES; batch++) {
        try (Scope _ = Scope.open("batch")) {
          learner.begin(scored(gaussian, fleet, batch), new Diagnostics(), _ -> {});
          int[][] all = {IntStream.range(0, SAMPLES).toArray()};
          learner.differentiate(all, Rng.of(2).fork(batch));
          gradients[batch] = sums.gradient(gaussian.biases()).toDoubles();
        }
      }
      double[] exact = exact(gaussian, share);
      for (int step = 0; step < exact.length; step++) {
        int at = step;
        double[] estimates = Arrays.stream(gradients).mapToDouble(g -> g[at]).toArray();
        double error = Statistics.std(estimates, 1) / Math.sqrt(BATCHES);
        double off = Math.abs(Statistics.mean(estimates) - exact[step]);
        assertTrue(off < 5 * error, "step " + at + ": off by " + off / error + " standard errors");
        assertTrue(
            error < 0.3 * Math.abs(exact[step]),
            "step " + at + " error " + error + " of " + exact[at]);
      }
      assertEquals(0, gradients[0][exact.length], "the cleanest timestep is left out");
    }
  }

  private static double[] exact(GaussianPolicy gaussian, double share) {
    ReversePolicy process = gaussian.policy().process();
    int steps = process.steps() - 1;
    double[] exact = new double[steps];
    for (int i = 0; i < steps; i++) {
      int t = (int) process.timestep(i);
      double kept = process.schedule().alphaBar(t);
      double lost = process.schedule().noiseVariance(t);
      double slope = Math.sqrt(kept * lost) / (kept * 0.25 + lost);
      exact[i] =
          2 * share * KAPPA * slope * gaussian.chain().variance() / process.outputFactor(i) / steps;
    }
    return exact;
  }

  private static Learner.Scored scored(GaussianPolicy gaussian, LocalFleet fleet, int batch) {
    List<Prompt> prompts =
        IntStream.range(0, SAMPLES).mapToObj(i -> new Prompt("x" + i / GROUP)).toList();
    Drawn drawn =
        Drawn.of(gaussian.policy(), prompts, Rng.of(1).fork(batch), SAMPLES, GaussianPolicy.SAMPLE);
    fleet.forget();
    fleet.hold(drawn.rollout());
    double mean = gaussian.chain().mean();
    double[] advantages =
        Arrays.stream(drawn.rewards()).map(reward -> KAPPA * (reward - mean)).toArray();
    return new Learner.Scored(drawn.samples(), advantages);
  }
}
