// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.DenoisingLoss;
import reverie.rl.Policy;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.RewardWeightedRegression;
import reverie.rl.objective.SparseRegression;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/** The gradient gathered in micro-batches against that of one graph, in float64. */
class DenoisingLearnerTest {
  private static final int[] SAMPLES = {4, 5, 0, 1};

  static List<DenoisingObjective> objectives() {
    return List.of(new SparseRegression(0.75, true, 2), new RewardWeightedRegression(5, true, 2));
  }

  /** The mean is over all samples and draws, those of weight 0 included. */
  @ParameterizedTest
  @MethodSource("objectives")
  void equalsTheGradientOfOneGraph(DenoisingObjective objective) {
    try (var model = new TinyModel(Device.reference())) {
      Policy policy = model.policy(1, 3);
      TinyModel.withRollout(
          policy,
          2,
          rollout -> {
            double[] loss = new double[1];
            List<double[]> expected = oneGraph(policy, rollout, objective, loss);
            for (int batch : new int[] {1, 3, 6}) {
              TrainerSettings settings = TrainerSettings.defaults().withTrainingBatch(batch);
              var diagnostics = new Diagnostics();
              List<Integer> trained = new ArrayList<>();
              try (var sums = new GradientAccumulator(policy.parameters().trainable());
                  var fleet = rollout.fleet(objective, settings, sums);
                  var learner = new DenoisingLearner(policy, objective, settings, fleet)) {
                learner.begin(
                    new Learner.Scored(rollout.samples(), rollout.rewards()),
                    diagnostics,
                    trained::add);
                learner.differentiate(new int[][] {SAMPLES}, Rng.of(1));
                diagnostics.addUpdate(0);
                assertTold(objective, rollout, diagnostics, trained);
                assertEquals(objective.draws(), learner.itemsPerSample());
                assertEquals(loss[0], diagnostics.loss(), 1e-12);
                for (int i = 0; i < expected.size(); i++) {
                  Parameter parameter = policy.parameters().trainable().get(i);
                  assertArrayEquals(expected.get(i), sums.gradient(parameter).toDoubles(), 1e-12);
                }
              }
            }
          });
    }
  }

  /** First what costs nothing, then all else; and how many samples the weights leave. */
  private static void assertTold(
      DenoisingObjective objective, Drawn rollout, Diagnostics diagnostics, List<Integer> trained) {
    double[] weights = objective.weights(rollout.texts(), rollout.rewards(), rollout.rewards());
    long free = Arrays.stream(SAMPLES).filter(sample -> weights[sample] == 0).count();
    assertEquals(objective.draws() * free, (long) trained.getFirst());
    assertEquals(
        objective.draws() * SAMPLES.length, trained.stream().mapToInt(items -> items).sum());
    double sum = Arrays.stream(weights).sum();
    double squares = Arrays.stream(weights).map(w -> w * w).sum();
    assertEquals(sum * sum / squares, diagnostics.effectiveSamples(), 1e-12);
  }

  /** Σ_k Σ_s w_s loss(s, noise of (s, k)) / (samples · draws). */
  private static List<double[]> oneGraph(
      Policy policy, Drawn rollout, DenoisingObjective objective, double[] lossOut) {
    double[] weights = objective.weights(rollout.texts(), rollout.rewards(), rollout.rewards());
    assertTrue(Arrays.stream(SAMPLES).anyMatch(sample -> weights[sample] > 0));
    var denoising =
        new DenoisingLoss(
            policy.process().schedule(), policy.prediction(), Double.POSITIVE_INFINITY);
    List<Tensor> roots = policy.parameters().trainable().stream().map(Parameter::value).toList();
    Tape.Result result =
        Tape.run(
            roots,
            () -> {
              Tensor sum = policy.device().scalar(0);
              for (int draw = 0; draw < objective.draws(); draw++) {
                for (int sample : SAMPLES) {
                  Tensor image = rollout.finished(sample);
                  Tensor loss =
                      denoising.perSample(
                          policy.denoiser(),
                          image,
                          rollout.contexts(sample),
                          denoising.draw(image, Rng.of(1).fork(sample, draw)));
                  sum = sum.add(loss.sum().mul(weights[sample]));
                }
              }
              return sum.mul(1.0 / (SAMPLES.length * objective.draws()));
            });
    lossOut[0] = result.loss().item();
    return roots.stream().map(root -> result.gradient(root).toDoubles()).toList();
  }
}
