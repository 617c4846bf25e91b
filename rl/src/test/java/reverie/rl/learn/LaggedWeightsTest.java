// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import reverie.autograd.optim.GradientAccumulator;
import reverie.rl.Policy;
import reverie.rl.objective.Denoised;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.DenoisingObjective.Lag;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** Weights that follow those that are trained. */
class LaggedWeightsTest {
  private static final TrainerSettings SETTINGS = TrainerSettings.defaults();

  /** With d = 0.75 after each of two updates, old = ¾ (¾ w0 + ¼ w1) + ¼ w2. */
  @Test
  void weightsFollow() {
    try (var model = new TinyModel(Device.reference());
        var old = new LaggedWeights("old", model.parameters, new Lag(1, 0.75));
        Scope _ = Scope.open("test")) {
      Tensor value = model.parameters.all().getFirst().value();
      try (var forgotten = new LaggedWeights("old", model.parameters, new Lag(0, 0.75))) {
        assertTrue(forgotten.tensors().isEmpty());
      }
      double w0 = value.toDoubles()[0];
      model.move(0.1);
      double w1 = value.toDoubles()[0];
      old.follow(1);
      model.move(0.1);
      double w2 = value.toDoubles()[0];
      old.follow(2);
      double expected = 0.75 * (0.75 * w0 + 0.25 * w1) + 0.25 * w2;
      double during = old.during(() -> value.toDoubles()[0]);
      assertEquals(expected, during, 1e-15);
      assertEquals(w2, value.toDoubles()[0], "and are put back");
      assertThrows(
          IllegalStateException.class,
          () ->
              old.during(() -> {
                throw new IllegalStateException();
              }));
      assertEquals(w2, value.toDoubles()[0], "whatever happens");
    }
  }

  /** One that compares with no other model. After two updates d is 0.6. */
  @Test
  void weightsThatLagDrawTheSamples() {
    var alone =
        new DenoisingObjective() {
          @Override
          public String name() {
            return "alone";
          }

          @Override
          public int draws() {
            return 1;
          }

          @Override
          public Tensor loss(Denoised denoised) {
            return denoised.error(denoised.output());
          }

          @Override
          public Lag old() {
            return new Lag(0.3, 0.75);
          }
        };
    try (var model = new TinyModel(Device.reference())) {
      Policy policy = model.policy(0, 1);
      Tensor value = policy.parameters().trainable().getFirst().value();
      TinyModel.withRollout(
          policy,
          2,
          rollout -> {
            try (var sums = new GradientAccumulator(policy.parameters().trainable());
                var fleet = rollout.fleet(alone, SETTINGS, sums);
                var learner = new DenoisingLearner(policy, alone, SETTINGS, fleet)) {
              learner.begin(
                  new Learner.Scored(rollout.samples(), new double[6]), new Diagnostics(), _ -> {});
              learner.differentiate(new int[][] {{0, 1, 2, 3, 4, 5}}, Rng.of(1));
              learner.differentiate(new int[][] {{0, 1, 2, 3, 4, 5}}, Rng.of(2));
              double before = value.toDoubles()[0];
              model.move(0.1);
              double after = value.toDoubles()[0];
              learner.finishEpoch(0);
              assertEquals(
                  0.6 * before + 0.4 * after, learner.drawing(() -> value.toDoubles()[0]), 1e-15);
            }
          });
    }
  }
}
