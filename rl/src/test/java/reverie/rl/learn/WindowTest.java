// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.diffusion.FlowNoise;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.Prdp;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/** Runs whose chains have chance in a few steps only. */
class WindowTest {
  static List<RolloutObjective> objectives() {
    return List.of(new DdpoImportanceSampled(), new Dpok(), new Prdp());
  }

  private static Policy policy(TinyModel model, boolean flow, boolean secondOrder) {
    Policy policy = model.policy(1, 1);
    ReversePolicy process =
        flow
            ? ReversePolicy.flow(SchedulerConfig.flow(1), 5, FlowNoise.FLOW_SDE, 0.7)
            : ReversePolicy.ddim(SchedulerConfig.defaults(), 5, 1);
    Policy along = policy.along(secondOrder ? process.secondOrder() : process);
    return new Policy(
        along.process(),
        flow ? Prediction.FLOW : Prediction.EPSILON,
        along.denoiser(),
        along.reference(),
        along.parameters(),
        along.encoder(),
        along.height(),
        along.width(),
        along.channels());
  }

  private static Trainer trainer(Policy policy, RolloutObjective objective, Window window) {
    TrainerSettings settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(2);
              it.samplesPerPrompt(4);
              it.passes(2);
              it.window(window);
            });
    return new Trainer(
        policy,
        objective,
        new GroupAdvantages(),
        PromptSource.of("a", "b", "c"),
        TrainerTest.BRIGHTNESS,
        settings);
  }

  /** Ratios are 1 before the first update whatever the window, of clipped DDIM and of flows. */
  @ParameterizedTest
  @MethodSource("objectives")
  void trainTheStepsOfTheWindowOnly(RolloutObjective objective) {
    for (Window window :
        List.of(new Window(Window.Kind.RANDOM, 2, 25), new Window(Window.Kind.PROGRESSIVE, 1, 1))) {
      for (boolean flow : new boolean[] {false, true}) {
        try (var model = new TinyModel(Device.cpu());
            var run = trainer(policy(model, flow, flow), objective, window)) {
          run.run(2);
          EpochReport report = run.epoch();
          assertTrue(report.ratioDeviation() <= 1e-5 && report.gradientNorm() > 0);
          // Of both chains the last step is no decision.
          double left = (4 - window.width()) * 8 * 2;
          assertEquals(left, report.metrics().get("passes_saved"));
          assertTrue(run.captureFailure().isEmpty(), () -> run.captureFailure().orElseThrow());
        }
      }
    }
  }

  @Test
  void moveFromNoiseToData() {
    ReversePolicy ddim = ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 8, 1);
    Window window = new Window(Window.Kind.PROGRESSIVE, 3, 2);
    assertArrayEquals(new int[] {0, 1, 2}, window.of(ddim, Rng.of(1), 1).decisions());
    assertArrayEquals(new int[] {1, 2, 3}, window.of(ddim, Rng.of(1), 2).decisions());
    assertEquals(8, Window.NONE.of(ddim, Rng.of(1), 2).decisions().length);
    assertThrows(ReverieException.class, () -> new Window(Window.Kind.RANDOM, 0, 1));
  }

  /** A state that was saved with another window or sampler is refused by name. */
  @Test
  void areRememberedByARun(@TempDir Path folder) {
    Path file = folder.resolve("state.safetensors");
    Window window = new Window(Window.Kind.RANDOM, 2, 25);
    try (var straight = new TinyModel(Device.cpu());
        var resumed = new TinyModel(Device.cpu())) {
      var objective = new DdpoImportanceSampled();
      try (var run = trainer(policy(straight, true, false), objective, window)) {
        run.run(2);
        run.save(file);
        run.run(2);
      }
      try (var run = trainer(policy(resumed, true, false), objective, window)) {
        run.resume(file);
        run.run(2);
      }
      TrainerTest.assertSame(TrainerTest.weights(straight), TrainerTest.weights(resumed));
      try (var run = trainer(policy(resumed, true, false), objective, Window.NONE)) {
        assertRefused(run, file, "another window");
      }
      try (var run = trainer(policy(resumed, true, true), objective, window)) {
        assertRefused(run, file, "another sampler");
      }
    }
  }

  private static void assertRefused(Trainer run, Path file, String part) {
    String message = assertThrows(ReverieException.class, () -> run.resume(file)).getMessage();
    assertTrue(message.contains(part), message);
  }
}
