// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.likelihood.FlowDensity;
import reverie.diffusion.likelihood.Trace;
import reverie.rl.Policy;
import reverie.rl.objective.OdeDpo;
import reverie.rl.preference.Preference;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** Preferences on exact log-likelihoods. */
class OdeDpoTest {
  private static final int PAIRS = 3;

  private static List<Preference> pairs() {
    IntFunction<float[]> image =
        seed -> {
          float[] values = new float[TinyModel.HEIGHT * TinyModel.WIDTH];
          for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(seed + 1.7 * i);
          }
          return values;
        };
    return List.of(
        new Preference(new Prompt("a"), image.apply(1), image.apply(2)),
        new Preference(new Prompt("b"), image.apply(3), image.apply(4)),
        new Preference(new Prompt("c"), image.apply(5), image.apply(6)));
  }

  /** Loss of an update, and its gradient by the first weight of the last layer if wanted. */
  private static double[] update(Policy policy, OdeDpo objective, int batch) {
    var diagnostics = new Diagnostics();
    Parameter parameter = policy.parameters().trainable().getLast();
    TrainerSettings settings = TrainerSettings.defaults().withTrainingBatch(batch);
    try (Scope _ = Scope.open("update");
        var sums = new GradientAccumulator(policy.parameters().trainable());
        var learner = new PreferenceLearner(policy, objective, settings, sums)) {
      learner.begin(pairs(), diagnostics, _ -> {});
      learner.differentiate(new int[][] {{0, 1, 2}}, Rng.of(1));
      diagnostics.addUpdate(0);
      return new double[] {diagnostics.loss(), sums.gradient(parameter).toDoubles()[0]};
    }
  }

  /** log 2 at the reference; elsewhere the gradient is that of differences, in any batches. */
  @Test
  void gradientIsThatOfDifferences() {
    for (OdeDpo objective : List.of(new OdeDpo(0.3, 3, 0), new OdeDpo(0.3, 3, 2))) {
      try (var model = new TinyModel(Device.reference())) {
        Policy policy = model.policy(1, 1);
        assertEquals(Math.log(2), update(policy, objective, PAIRS)[0], 1e-12);
        try (Scope _ = Scope.open("test")) {
          model.move(0.1);
          Tensor value = policy.parameters().trainable().getLast().value();
          double[] weights = value.toDoubles();
          double[] exact = update(policy, objective, PAIRS);
          double[] inParts = update(policy, objective, 2);
          assertEquals(exact[0], inParts[0], 1e-12);
          assertEquals(exact[1], inParts[1], 1e-10);
          double h = 1e-5;
          double[] losses = new double[2];
          for (int side = 0; side < 2; side++) {
            double[] moved = weights.clone();
            moved[0] += side == 0 ? h : -h;
            value.assign(policy.device().tensor(moved, value.shape().dims()));
            losses[side] = update(policy, objective, PAIRS)[0];
          }
          assertEquals((losses[0] - losses[1]) / (2 * h), exact[1], 1e-7);
          assertTrue(Math.abs(exact[1]) > 1e-6);
        }
      }
    }
  }

  /** Both images of a pair by the same two probes, of whose densities the mean is taken. */
  @Test
  void theLossIsThatOfMeansOverProbes() {
    double beta = 0.3;
    try (var model = new TinyModel(Device.reference());
        Scope _ = Scope.open("test")) {
      Policy policy = model.policy(1, 1);
      model.move(0.1);
      double loss = 0;
      for (int i = 0; i < PAIRS; i++) {
        Preference pair = pairs().get(i);
        Trace probes = new Trace.Hutchinson(2, Rng.of(1).fork(i).fork("probe"));
        double gap = 0;
        for (int probe = 0; probe < 2; probe++) {
          float[] signs = probes.rows(probe, probe + 1, pair.chosen().length);
          gap += excess(policy, pair.prompt(), pair.chosen(), signs) / 2;
          gap -= excess(policy, pair.prompt(), pair.rejected(), signs) / 2;
        }
        loss += Math.log1p(Math.exp(beta * gap)) / PAIRS;
      }
      assertEquals(loss, update(policy, new OdeDpo(beta, 3, 2), PAIRS)[0], 1e-12);
    }
  }

  /** By how much an image is less likely than under the reference, by one probe. */
  private static double excess(Policy policy, Prompt prompt, float[] image, float... signs) {
    int[] dims = {1, TinyModel.HEIGHT, TinyModel.WIDTH, 1};
    Tensor x = policy.device().tensor(image, dims);
    Tensor context = policy.encoder().encode(List.of(prompt));
    List<Tensor> probe = List.of(policy.device().tensor(signs, dims));
    var density = new FlowDensity(policy.process().schedule(), policy.prediction(), 3);
    return density.of(policy.reference(), x, context, probe, 1).item()
        - density.of(policy.denoiser(), x, context, probe, 1).item();
  }

  @Test
  void isCaptured() {
    try (var model = new TinyModel(Device.cpu());
        var sums = new GradientAccumulator(model.parameters.trainable());
        var learner =
            new PreferenceLearner(
                model.policy(1, 1), new OdeDpo(0.3, 2, 1), TrainerSettings.defaults(), sums);
        Scope _ = Scope.open("test")) {
      learner.begin(pairs(), new Diagnostics(), _ -> {});
      learner.differentiate(new int[][] {{0, 1, 2}}, Rng.of(1));
      assertTrue(learner.captureFailure().isEmpty(), () -> learner.captureFailure().orElseThrow());
    }
  }
}
