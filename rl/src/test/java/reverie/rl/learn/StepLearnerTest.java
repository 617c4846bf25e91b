// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.LogProbReduction;
import reverie.diffusion.ReversePolicy;
import reverie.rl.Policy;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.DpokPublished;
import reverie.rl.objective.Penalty;
import reverie.rl.objective.StepObjective;
import reverie.rl.objective.ValueFunction;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The gradient gathered step by step against that of one graph over the whole chain, in float64.
 */
class StepLearnerTest {
  private static final double[] ADVANTAGES = {1, -2, .5, 0, 3, -.25};
  private static final int[] ALL = IntStream.range(0, ADVANTAGES.length).toArray();

  private TinyModel model;
  private Policy policy;

  @BeforeEach
  void make() {
    model = new TinyModel(Device.reference());
    policy = model.policy(1, 3);
  }

  @AfterEach
  void close() {
    model.close();
  }

  @Test
  void equalsTheGradientOfOneGraph() {
    equalsOneGraph(new DdpoImportanceSampled(1e-2, 2.5));
  }

  @Test
  void thePublishedPenaltyEqualsTheGradientOfOneGraph() {
    equalsOneGraph(new DpokPublished(1e-2, new ValueFunction()));
  }

  private void equalsOneGraph(StepObjective objective) {
    double klWeight = 0.3;
    withRollout(rollout -> {
      model.move(0.02);
      List<double[]> expected = oneGraph(rollout, objective, klWeight, ALL, 5, null);
      for (int batch : new int[] {1, 4, 6}) {
        TrainerSettings settings =
            TrainerSettings.defaults()
                .with(it -> {
                  it.trainingBatch(batch);
                  it.klWeight(klWeight);
                });
        var diagnostics = new Diagnostics();
        List<double[]> actual = stepByStep(rollout, objective, settings, diagnostics);
        for (int i = 0; i < expected.size(); i++) {
          assertArrayEquals(expected.get(i), actual.get(i), 1e-12);
        }
        assertTrue(diagnostics.kl() > 0);
        assertTrue(diagnostics.clipFraction() > 0, "nothing was clipped");
      }
    });
  }

  @Test
  void beforeAnyUpdateTheRatioIsOneAndTheDivergenceZero() {
    withRollout(rollout -> {
      var diagnostics = new Diagnostics();
      TrainerSettings settings = TrainerSettings.defaults().withKlWeight(1);
      stepByStep(rollout, new DdpoImportanceSampled(), settings, diagnostics);
      assertEquals(0, diagnostics.firstDeviation());
      assertEquals(1, diagnostics.smallestRatio());
      assertEquals(1, diagnostics.largestRatio());
      assertEquals(0, diagnostics.approximateKl());
      assertEquals(0, diagnostics.clipFraction());
      assertEquals(0, diagnostics.kl());
    });
  }

  /**
   * Where the policy sums over the 6 elements, reward and KL are 6 times as long: nothing shifts.
   */
  @Test
  void meansAndSumsWeighTheKlAlike() {
    TrainerSettings settings = TrainerSettings.defaults().withKlWeight(0.7);
    List<List<double[]>> both = new ArrayList<>();
    Policy means = policy;
    try (Scope _ = Scope.open("test")) {
      model.move(0.02);
    }
    for (ReversePolicy process :
        List.of(means.process(), means.process().reducedBy(LogProbReduction.SUM))) {
      policy =
          new Policy(
              process,
              means.prediction(),
              means.denoiser(),
              means.reference(),
              means.parameters(),
              means.encoder(),
              means.height(),
              means.width(),
              means.channels());
      withRollout(rollout ->
          both.add(stepByStep(rollout, new DdpoScoreFunction(), settings, new Diagnostics())));
    }
    for (int i = 0; i < both.getFirst().size(); i++) {
      double[] sixfold = Arrays.stream(both.getFirst().get(i)).map(g -> 6 * g).toArray();
      assertArrayEquals(sixfold, both.getLast().get(i), 1e-12);
    }
  }

  /** Some samples, out of order, with the first three steps of each one's own order. */
  @Test
  void someStepsOfSomeSamplesEqualTheGradientOfOneGraph() {
    var objective = new DdpoImportanceSampled(1e-2, 2.5);
    int[] samples = {4, 5, 0, 1};
    withRollout(rollout -> {
      model.move(0.02);
      List<double[]> expected = oneGraph(rollout, objective, 0.3, samples, 3, null);
      for (int batch : new int[] {1, 3, 6}) {
        TrainerSettings settings =
            TrainerSettings.defaults()
                .with(it -> {
                  it.trainingBatch(batch);
                  it.stepFraction(0.6);
                  it.klWeight(0.3);
                });
        try (var sums = new GradientAccumulator(policy.parameters().trainable());
            var fleet = rollout.fleet(objective, settings, sums);
            var learner = new StepLearner(policy, objective, settings, fleet)) {
          learner.begin(
              new Learner.Scored(rollout.samples(), ADVANTAGES), new Diagnostics(), _ -> {});
          assertEquals(3, learner.itemsPerSample());
          assertSteps(rollout, objective, 0.5, 3);
          assertSteps(rollout, objective, 0.01, 1);
          learner.differentiate(new int[][] {samples}, Rng.of(1));
          assertSame(expected, sums);
        }
      }
    });
  }

  /** So many of five steps, rounded. */
  private void assertSteps(Drawn rollout, StepObjective objective, double fraction, int expected) {
    TrainerSettings settings = TrainerSettings.defaults().withStepFraction(fraction);
    try (var learner = new StepLearner(policy, objective, settings, null)) {
      learner.begin(new Learner.Scored(rollout.samples(), ADVANTAGES), new Diagnostics(), _ -> {});
      assertEquals(expected, learner.itemsPerSample());
    }
  }

  /** What is taken off an advantage is the baseline of that sample at that step. */
  @Test
  void theBaselineOfEachDecisionIsTakenOff() {
    var function = new ValueFunction(4, 1e-1, 20, 16);
    var objective = new Dpok(1e-2, 2.5, function);
    int[] samples = {4, 5, 0, 1};
    TrainerSettings settings = TrainerSettings.defaults().withStepFraction(0.6);
    withRollout(rollout -> {
      try (var baseline = new ValueBaseline(policy, function, settings.seed());
          var sums = new GradientAccumulator(policy.parameters().trainable());
          var fleet = rollout.fleet(objective, settings, sums);
          var learner = new StepLearner(policy, objective, settings, fleet)) {
        baseline.fit(rollout, ADVANTAGES, 2, new Diagnostics());
        learner.begin(
            new Learner.Scored(rollout.samples(), ADVANTAGES), new Diagnostics(), _ -> {});
        learner.finishEpoch(2);
        model.move(0.02);
        double[][] values = baseline.values(rollout, 6);
        assertTrue(Math.abs(values[4][0] - values[4][3]) > 1e-3, "steps have the same value");
        learner.begin(
            new Learner.Scored(rollout.samples(), ADVANTAGES), new Diagnostics(), _ -> {});
        learner.differentiate(new int[][] {samples}, Rng.of(1));
        assertSame(oneGraph(rollout, objective, 0, samples, 3, values), sums);
      }
    });
  }

  private void assertSame(List<double[]> expected, GradientAccumulator sums) {
    for (int i = 0; i < expected.size(); i++) {
      Parameter parameter = policy.parameters().trainable().get(i);
      assertArrayEquals(expected.get(i), sums.gradient(parameter).toDoubles(), 1e-12);
      assertTrue(Arrays.stream(expected.get(i)).anyMatch(g -> Math.abs(g) > 1e-9));
    }
  }

  @Test
  void aFractionOfTheStepsIsDrawnPerSample() {
    withRollout(rollout -> {
      TrainerSettings some = TrainerSettings.defaults().withStepFraction(0.6);
      List<double[]> part = stepByStep(rollout, new DdpoScoreFunction(), some, new Diagnostics());
      List<double[]> all =
          stepByStep(
              rollout, new DdpoScoreFunction(), TrainerSettings.defaults(), new Diagnostics());
      assertTrue(Arrays.stream(part.getFirst()).anyMatch(g -> g != 0));
      assertTrue(Arrays.mismatch(part.getFirst(), all.getFirst()) >= 0);
    });
  }

  @Test
  void backwardPassesLeaveNothingBehind() {
    withRollout(rollout -> {
      long before = policy.device().liveBytes();
      stepByStep(rollout, new DdpoScoreFunction(), TrainerSettings.defaults(), new Diagnostics());
      assertEquals(before, policy.device().liveBytes());
    });
  }

  @Test
  void memoryDoesNotDependOnTheNumberOfSteps() {
    withRollout(rollout -> assertEquals(peak(rollout, 0.2), peak(rollout, 1)));
  }

  /** Most bytes alive when a loss is taken, with everything that its backward pass will need. */
  private long peak(Drawn rollout, double stepFraction) {
    long[] peak = {0};
    var watching =
        new StepObjective() {
          @Override
          public String name() {
            return "watching";
          }

          @Override
          public Tensor loss(Tensor logProb, Tensor oldLogProb, Tensor advantage) {
            peak[0] = Math.max(peak[0], policy.device().liveBytes());
            return new DdpoScoreFunction().loss(logProb, oldLogProb, advantage);
          }
        };
    TrainerSettings settings = TrainerSettings.defaults().withStepFraction(stepFraction);
    stepByStep(rollout, watching, settings, new Diagnostics());
    return peak[0];
  }

  private void withRollout(Consumer<Drawn> body) {
    TinyModel.withRollout(policy, 2, body);
  }

  private List<double[]> stepByStep(
      Drawn rollout, StepObjective objective, TrainerSettings settings, Diagnostics diagnostics) {
    List<double[]> gradient = new ArrayList<>();
    try (var sums = new GradientAccumulator(policy.parameters().trainable());
        var fleet = rollout.fleet(objective, settings, sums);
        var learner = new StepLearner(policy, objective, settings, fleet)) {
      learner.begin(new Learner.Scored(rollout.samples(), ADVANTAGES), diagnostics, _ -> {});
      learner.differentiate(new int[][] {ALL}, Rng.of(1));
      assertTrue(fleet.captureFailure().isEmpty());
      for (Parameter p : policy.parameters().trainable()) {
        gradient.add(sums.gradient(p).toDoubles());
      }
    }
    return gradient;
  }

  /**
   * The gradient over the first steps of each sample's order.
   *
   * @param values what is taken off the advantages; null for nothing
   */
  private List<double[]> oneGraph(
      Drawn rollout,
      StepObjective objective,
      double klWeight,
      int[] samples,
      int perSample,
      double[][] values) {
    Device device = policy.device();
    ReversePolicy process = policy.process();
    int n = samples.length;
    int[] decisions = process.decisions();
    List<Tensor> roots = policy.parameters().trainable().stream().map(Parameter::value).toList();
    Tape.Result result =
        Tape.run(
            roots,
            () -> {
              Tensor sum = device.scalar(0);
              for (int position = 0; position < perSample; position++) {
                int[] steps = new int[n];
                double[] old = new double[n];
                double[] advantages = new double[n];
                for (int i = 0; i < n; i++) {
                  int sample = samples[i];
                  int[] order = Rng.of(1).fork(sample).permutation(decisions.length);
                  steps[i] = decisions[order[position]];
                  old[i] = rollout.logProb(sample, steps[i]);
                  advantages[i] =
                      ADVANTAGES[sample] - (values == null ? 0 : values[sample][steps[i]]);
                }
                Tensor before = rollout.before(samples, steps);
                Tensor timesteps = process.timesteps(before, steps);
                Tensor contexts = rollout.contexts(samples);
                var now =
                    process.step(
                        before, policy.denoiser().predict(before, timesteps, contexts), steps);
                var base =
                    process.step(
                        before, policy.reference().predict(before, timesteps, contexts), steps);
                Tensor loss =
                    objective.loss(
                        process.logProb(rollout.after(samples, steps), now),
                        device.tensor(old, n),
                        device.tensor(advantages, n));
                Tensor penalty =
                    objective.penalty() == Penalty.GAUSSIAN_KL
                        ? process.divergence(now, base)
                        : difference(before, timesteps, contexts);
                sum = sum.add(loss.add(penalty.mul(klWeight)).sum());
              }
              return sum.mul(1.0 / (n * perSample));
            });
    return roots.stream().map(root -> result.gradient(root).toDoubles()).toList();
  }

  /** The mean squared difference of both models' outputs. */
  private Tensor difference(Tensor x, Tensor timesteps, Tensor contexts) {
    Tensor now = policy.denoiser().predict(x, timesteps, contexts);
    Tensor base = policy.reference().predict(x, timesteps, contexts);
    return now.sub(base).square().mean(1, 2, 3);
  }
}
