// SPDX-License-Identifier: Apache-2.0
package reverie.rl.choice;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.autograd.Tape;
import reverie.diffusion.LogProbReduction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.Sampler;
import reverie.diffusion.Trajectory;
import reverie.diffusion.likelihood.FlowDensity;
import reverie.rl.Policy;
import reverie.rl.Statistics;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class ChoiceStudyTest {
  private static final List<Contender> CONTENDERS = Contender.all(GaussianProblem.BETA, 1, 6, 0);

  static List<Contender> contenders() {
    return CONTENDERS;
  }

  /** Where the root says that the gradient vanishes, it does, within five standard errors. */
  @ParameterizedTest
  @MethodSource("contenders")
  void theGradientVanishesAtTheEnd(Contender contender) {
    double end = GaussianProblem.exact(contender);
    List<double[]> there = gradients(contender, end);
    List<double[]> begin = gradients(contender, 0);
    double[] values = there.stream().mapToDouble(g -> g[0]).toArray();
    double error = Statistics.std(values, 1) / Math.sqrt(values.length);
    double first = Statistics.mean(begin.stream().mapToDouble(g -> g[0]).toArray());
    assertTrue(first < 0, () -> contender.name() + " begins at " + first);
    assertEquals(0, Statistics.mean(values), 5 * error, contender::name);
    assertTrue(error < -first / 4, () -> contender.name() + ": " + error + " of " + first);
  }

  private static List<double[]> gradients(Contender contender, double theta) {
    var study =
        new ChoiceStudy(
            () -> new GaussianProblem(Device.reference(), theta), 1, 1, 1e-3, 0, 1, 5, 0);
    return study.gradients(contender, 192);
  }

  @Test
  void everyObjectiveRunsAndIsMeasured() {
    var study =
        new ChoiceStudy(() -> new MixtureProblem(Device.reference()), 2, 4, 1e-2, 0.5, 1, 2, 8);
    for (Contender contender : Contender.all(MixtureProblem.BETA, 2, 1, 0).subList(3, 6)) {
      ChoiceStudy.Outcome outcome = study.run(contender);
      assertEquals(MixtureProblem.optimum().keySet(), outcome.measured().keySet());
      assertTrue(outcome.measured().get("KL of chains")[0] > 0, contender::name);
      assertTrue(outcome.secondsPerThousand() > 0);
    }
  }

  /** A mixture that compares what it is told with the sum over elements and steps. */
  private record Summing(MixtureProblem problem, List<Double> told) implements ChoiceProblem {
    @Override
    public Policy policy() {
      return problem.policy();
    }

    @Override
    public Reward reward() {
      return problem.reward();
    }

    @Override
    public List<Prompt> prompts(int pairs) {
      return problem.prompts(pairs);
    }

    @Override
    public Map<String, Double> measure(double divergence) {
      ReversePolicy process = policy().process().reducedBy(LogProbReduction.SUM);
      Rng[] rows = IntStream.range(0, 8).mapToObj(i -> Sampler.row(0, 2, i)).toArray(Rng[]::new);
      double sum = 0;
      try (Scope _ = Scope.open("test")) {
        Trajectory drawn =
            new Sampler(process, Device.reference())
                .rollout(
                    policy().denoiser(),
                    null,
                    rows,
                    policy().height(),
                    policy().width(),
                    policy().channels());
        for (int i : process.decisions()) {
          Tensor x = drawn.before(i);
          Tensor t = process.timesteps(x, i);
          sum +=
              process
                  .divergence(
                      process.step(x, policy().denoiser().predict(x, t, null), i),
                      process.step(x, policy().reference().predict(x, t, null), i))
                  .mean()
                  .item();
        }
      }
      told.add(divergence / sum);
      return Map.of();
    }

    @Override
    public void close() {
      problem.close();
    }
  }

  @Test
  void theDivergenceOfChainsIsInNats() {
    List<Double> told = new ArrayList<>();
    var study =
        new ChoiceStudy(
            () -> new Summing(new MixtureProblem(Device.reference()), told),
            1,
            2,
            1e-2,
            0,
            1,
            2,
            8);
    study.run(CONTENDERS.getLast());
    assertEquals(1, told.getFirst(), 1e-9);
  }

  /** The logarithm of E exp(r/β) is what the regularised optimum is worth. */
  @Test
  void theMixturesOptimumIsWorthWhatItShould() {
    Map<String, Double> optimum = MixtureProblem.optimum();
    double exact = Math.log(Math.cosh(1)) + 0.125;
    assertEquals(exact, optimum.get("E r - β KL of samples"), 1e-6);
  }

  /** The probability flow of the mixture's model draws the mixture. */
  @Test
  void theMixturesModelHasItsDensity() {
    try (var problem = new MixtureProblem(Device.reference());
        Scope _ = Scope.open("test")) {
      Device device = Device.reference();
      double[][] points = {{0.3, -0.2}, {1.2, 0.4}, {-0.7, -1}};
      Tensor x =
          device.tensor(
              IntStream.range(0, 6).mapToDouble(i -> points[i / 2][i % 2]).toArray(), 3, 1, 2, 1);
      List<Tensor> vectors =
          List.of(
              device.tensor(new double[] {1, 0, 1, 0, 1, 0}, 3, 1, 2, 1),
              device.tensor(new double[] {0, 1, 0, 1, 0, 1}, 3, 1, 2, 1));
      var density =
          new FlowDensity(problem.policy().process().schedule(), problem.policy().prediction(), 20);
      double[] nats =
          Tape.noGradient(() -> density.of(problem.policy().denoiser(), x, null, vectors, 1))
              .toDoubles();
      for (int i = 0; i < 3; i++) {
        double first = Math.pow(points[i][0] - 1, 2) + Math.pow(points[i][1] - 0.5, 2);
        double second = Math.pow(points[i][0] + 1, 2) + Math.pow(points[i][1] + 0.5, 2);
        double exact =
            Math.log((Math.exp(-2 * first) + Math.exp(-2 * second)) / 2 / (2 * Math.PI * 0.25));
        assertEquals(exact, nats[i], 1e-2);
      }
    }
  }

  @Test
  void choicesHaveTheirOdds() {
    Reward noisy = Choices.noisy(Reward.named("value", batch -> twice(batch.values())), 3);
    int n = 4000;
    float[] values = new float[2 * n];
    for (int i = 0; i < n; i++) {
      // The second is worth one more; no two samples are the same.
      values[2 * i] = 0.2f + i * 1e-6f;
      values[2 * i + 1] = 0.7f + i * 1e-6f;
    }
    double[] scores = score(noisy, values);
    long wins = IntStream.range(0, n).filter(i -> scores[2 * i + 1] > scores[2 * i]).count();
    double p = 1 / (1 + Math.exp(-1));
    assertEquals(p * n, wins, 5 * Math.sqrt(n * p * (1 - p)));
    assertArrayEquals(scores, score(noisy, values));
  }

  @Test
  void pairsDoNotDependOnTheBatch() {
    try (var problem = new MixtureProblem(Device.reference())) {
      List<String> drawn =
          IntStream.of(2, 100)
              .mapToObj(batch ->
                  Choices.draw(problem.policy(), problem.reward(), problem.prompts(5), 3, batch)
                      .identity())
              .toList();
      assertEquals(drawn.getFirst(), drawn.getLast());
    }
  }

  private static double[] twice(float... values) {
    return IntStream.range(0, values.length).mapToDouble(i -> 2.0 * values[i]).toArray();
  }

  private static double[] score(Reward reward, float... values) {
    List<Prompt> prompts = Collections.nCopies(values.length, new Prompt("x"));
    try {
      return reward.score(RewardBatch.of(values, 1, 1, 1, prompts));
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  /** Gradients of mean (3, 4) and covariance 2·I: √4 over 5 for each pair. */
  @Test
  void noiseIsTheDeviationOverTheLengthOfTheMean() {
    int pairs = 4;
    List<double[]> gradients =
        IntStream.range(0, 400)
            .mapToObj(i -> {
              try (Scope _ = Scope.open("test")) {
                double[] z = Rng.of(5).fork(i).normal(Device.reference(), 2).toDoubles();
                double scale = Math.sqrt(2.0 / pairs);
                return new double[] {3 + scale * z[0], 4 + scale * z[1]};
              }
            })
            .toList();
    GradientNoise noise = GradientNoise.of(gradients, pairs);
    assertEquals(0.4, noise.ratio(), 5 * noise.error());
    assertEquals(0.4 / Math.sqrt(2 * 2 * 400), noise.error(), 0.004);
    // Of 3 and 5: variance 2, and 4² is too large for the mean's square by half of it.
    List<double[]> two = List.of(new double[] {3}, new double[] {5});
    assertEquals(Math.sqrt(2 / 15.0), GradientNoise.of(two, 1).ratio(), 1e-12);
  }
}
