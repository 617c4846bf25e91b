// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameters;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.Denoiser;
import reverie.diffusion.FlowNoise;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.DenoisingObjective.Lag;
import reverie.rl.objective.DenoisingObjective.Model;
import reverie.rl.objective.GrpoGuard;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class GrpoGuardTest {
  private static final GrpoGuard GUARD = new GrpoGuard(0.5, 5);

  private static Policy flow(TinyModel model) {
    Policy policy = model.policy(1, 1);
    return new Policy(
        ReversePolicy.flow(SchedulerConfig.flow(3), 4, FlowNoise.FLOW_SDE, 0.7),
        Prediction.FLOW,
        policy.denoiser(),
        policy.reference(),
        policy.parameters(),
        policy.encoder(),
        2,
        3,
        1);
  }

  /** A pass over some decisions, with weights that moved since they were made, by hand. */
  @Test
  void isItsFormula() {
    try (var model = new TinyModel(Device.reference());
        Parameters first = model.parameters.frozenCopy();
        Scope _ = Scope.open("test")) {
      // With chance in the last step too, whose length is all of its σ.
      Policy ending = flow(model);
      Policy policy = ending.along(ending.process().deciding(_ -> true));
      ReversePolicy process = policy.process();
      Rollout rollout =
          Rollout.draw(
              policy,
              List.of(new Prompt("a"), new Prompt("b"), new Prompt("a")),
              Rng.of(4),
              3,
              _ -> {});
      int[] samples = {0, 2, 1};
      int[] steps = {0, 3, 1};
      double[] advantages = {1.5, -0.7, 2};
      double[] old = new double[3];
      Arrays.setAll(old, i -> rollout.logProbs()[samples[i]][steps[i]]);
      TrainerSettings settings = TrainerSettings.defaults();
      try (var sums = new GradientAccumulator(policy.parameters().trainable());
          var lagged = new LaggedWeights("old", policy.parameters(), Lag.NONE);
          var pass =
              new DecisionPass(
                  new Fleet.Job(policy, GUARD, TrainerTest.BRIGHTNESS, settings, sums), GUARD)) {
        model.move(0.1);
        var batch = new Update.Batch(samples, steps, old, advantages);
        var update =
            new Update(List.of(List.of(batch)), 0.25, Rng.of(1), Map.of(Model.OLD, lagged));
        Update.Outcome outcome = pass.add(rollout, batch, update, _ -> {});
        Tensor weight = policy.parameters().trainable().getFirst().value();
        Denoiser before = TinyModel.denoiser(first);
        double[] t = Arrays.copyOf(process.grid().timesteps(), process.steps() + 1);
        Tape.Result byHand =
            Tape.run(
                List.of(weight),
                () -> {
                  Tensor sum = policy.device().scalar(0);
                  for (int i = 0; i < 3; i++) {
                    int[] one = {samples[i]};
                    int[] at = {steps[i]};
                    Tensor x = rollout.before(one, at);
                    Tensor context = rollout.contexts(samples[i]);
                    Tensor times = process.timesteps(x, at);
                    ReversePolicy.Step now =
                        process.step(x, policy.denoiser().predict(x, times, context), at);
                    ReversePolicy.Step then =
                        process.step(x, before.predict(x, times, context).detach(), at);
                    double s = process.sigma(steps[i]);
                    Tensor gap = now.mean().sub(then.mean()).square().mean().mul(1 / (2 * s * s));
                    Tensor ratio =
                        process
                            .logProb(rollout.after(one, at), now)
                            .sub(old[i])
                            .add(gap)
                            .mul(s)
                            .exp();
                    double length = (t[steps[i]] - t[steps[i] + 1]) / 1000;
                    Tensor cost = ratio.mul(-advantages[i]);
                    Tensor clipped = ratio.clamp(0.5, 1.5).mul(-advantages[i]);
                    sum = sum.add(cost.maximum(clipped).sum().mul(0.25 / length));
                  }
                  return sum;
                });
        assertEquals(byHand.loss().item(), outcome.loss(), 1e-12);
        double[] expected = byHand.gradient(weight).toDoubles();
        double[] gathered = sums.gradient(policy.parameters().trainable().getFirst()).toDoubles();
        for (int i = 0; i < expected.length; i++) {
          assertEquals(expected[i], gathered[i], 1e-11);
        }
      }
    }
  }

  /** It compares with the weights that drew, in every epoch anew. */
  @Test
  void goesOnBitForBit(@TempDir Path folder) {
    Path file = folder.resolve("state.safetensors");
    List<float[]> whole;
    try (var model = new TinyModel(Device.cpu());
        Trainer run = guarded(model)) {
      run.epoch();
      run.save(file);
      run.epoch();
      whole = TrainerTest.weights(model);
    }
    try (var model = new TinyModel(Device.cpu());
        Trainer resumed = guarded(model)) {
      resumed.resume(file);
      resumed.epoch();
      TrainerTest.assertSame(whole, TrainerTest.weights(model));
    }
  }

  private static Trainer guarded(TinyModel model) {
    return new Trainer(
        flow(model),
        GUARD,
        new GroupAdvantages(),
        PromptSource.of("a", "b"),
        TrainerTest.BRIGHTNESS,
        TrainerTest.settings().withPromptsPerEpoch(2));
  }

  @Test
  void trainsFlowsAndRefusesOthers() {
    TrainerSettings settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(2);
              it.samplesPerPrompt(4);
            });
    try (var model = new TinyModel(Device.cpu())) {
      try (var run =
          new Trainer(
              flow(model),
              new GrpoGuard(),
              new GroupAdvantages(),
              PromptSource.of("a", "b"),
              TrainerTest.BRIGHTNESS,
              settings)) {
        run.run(1);
        EpochReport report = run.epoch();
        assertTrue(report.ratioDeviation() <= 1e-5 && report.gradientNorm() > 0);
        assertTrue(run.captureFailure().isEmpty(), () -> run.captureFailure().orElseThrow());
      }
      String message =
          assertThrows(
                  ReverieException.class,
                  () ->
                      new Trainer(
                          model.policy(1, 1),
                          new GrpoGuard(),
                          new GroupAdvantages(),
                          PromptSource.of("a", "b"),
                          TrainerTest.BRIGHTNESS,
                          settings))
              .getMessage();
      assertTrue(message.contains("made for the steps of a flow"), message);
    }
  }
}
