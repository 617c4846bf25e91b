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
import reverie.diffusion.ReversePolicy;
import reverie.rl.Policy;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.objective.DpokPublished;
import reverie.rl.objective.Penalty;
import reverie.rl.objective.StepObjective;
import reverie.rl.objective.ValueFunction;
import reverie.tensor.Device;
import reverie.tensor.Rng;
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
      List<double[]> expected = oneGraph(rollout, objective, klWeight);
      for (int batch : new int[] {1, 4, 6}) {
        TrainerSettings settings =
            TrainerSettings.defaults()
                .but(it -> {
                  it.trainingBatch = batch;
                  it.klWeight = klWeight;
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
      TrainerSettings settings = TrainerSettings.defaults().but(it -> it.klWeight = 1);
      stepByStep(rollout, new DdpoImportanceSampled(), settings, diagnostics);
      assertEquals(0, diagnostics.firstDeviation());
      assertEquals(1, diagnostics.smallestRatio());
      assertEquals(1, diagnostics.largestRatio());
      assertEquals(0, diagnostics.approximateKl());
      assertEquals(0, diagnostics.clipFraction());
      assertEquals(0, diagnostics.kl());
    });
  }

  @Test
  void aFractionOfTheStepsIsDrawnPerSample() {
    withRollout(rollout -> {
      TrainerSettings some = TrainerSettings.defaults().but(it -> it.stepFraction = 0.6);
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
  private long peak(Rollout rollout, double stepFraction) {
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
    TrainerSettings settings = TrainerSettings.defaults().but(it -> it.stepFraction = stepFraction);
    stepByStep(rollout, watching, settings, new Diagnostics());
    return peak[0];
  }

  private void withRollout(Consumer<Rollout> body) {
    TinyModel.withRollout(policy, 2, body);
  }

  private List<double[]> stepByStep(
      Rollout rollout, StepObjective objective, TrainerSettings settings, Diagnostics diagnostics) {
    List<double[]> gradient = new ArrayList<>();
    try (var sums = new GradientAccumulator(policy.parameters().trainable());
        var learner = new StepLearner(policy, objective, settings, sums)) {
      learner.begin(new Learner.Scored(rollout, ADVANTAGES), diagnostics, _ -> {});
      learner.accumulate(ALL, Rng.of(1));
      assertTrue(learner.captureFailure().isEmpty());
      for (Parameter p : policy.parameters().trainable()) {
        gradient.add(sums.gradient(p).toDoubles());
      }
    }
    return gradient;
  }

  private List<double[]> oneGraph(Rollout rollout, StepObjective objective, double klWeight) {
    Device device = policy.device();
    ReversePolicy process = policy.process();
    int n = ALL.length;
    List<Tensor> roots = policy.parameters().trainable().stream().map(Parameter::value).toList();
    Tape.Result result =
        Tape.run(
            roots,
            () -> {
              Tensor sum = device.scalar(0);
              for (int step : process.decisions()) {
                int[] steps = new int[n];
                Arrays.fill(steps, step);
                Tensor before = rollout.before(ALL, steps);
                Tensor timesteps = process.timesteps(before, steps);
                Tensor contexts = rollout.contexts(ALL);
                double[] old =
                    Arrays.stream(ALL).mapToDouble(i -> rollout.logProb(i, step)).toArray();
                var now =
                    process.step(
                        before, policy.denoiser().predict(before, timesteps, contexts), steps);
                var base =
                    process.step(
                        before, policy.reference().predict(before, timesteps, contexts), steps);
                Tensor loss =
                    objective.loss(
                        process.logProb(rollout.after(ALL, steps), now),
                        device.tensor(old, n),
                        device.tensor(ADVANTAGES, n));
                Tensor penalty =
                    objective.penalty() == Penalty.GAUSSIAN_KL
                        ? process.divergence(now, base)
                        : difference(before, timesteps, contexts);
                sum = sum.add(loss.add(penalty.mul(klWeight)).sum());
              }
              return sum.mul(1.0 / (n * process.decisions().length));
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
