// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.autograd.nn.Lora;
import reverie.diffusion.Denoiser;
import reverie.rl.Policy;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.PlackettLuce;
import reverie.rl.objective.Ppod;
import reverie.rl.objective.Ppod.Link;
import reverie.rl.objective.Ppod.Span;
import reverie.rl.objective.Prdp;
import reverie.rl.objective.RewardWeightedRegression;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/** Whole runs with objectives of whole chains. */
class ChainTrainingTest {
  private static final Reward BRIGHTNESS = TrainerTest.BRIGHTNESS;
  private static final Prdp PRDP = new Prdp(1e-2, 1e-1, Prdp.Time.MEAN);

  static List<RolloutObjective> objectives() {
    return List.of(
        PRDP,
        new Prdp(1e-2, Double.POSITIVE_INFINITY, Prdp.Time.SUM),
        new Ppod(Link.SIGMOID, Span.STEP, 1, 0.5),
        new Ppod(Link.HINGE, Span.CHAIN, 1, 0.5),
        new Ppod(Link.IPO, Span.CHAIN, 1, 0.5),
        new PlackettLuce(1));
  }

  static TrainerSettings settings() {
    return TrainerTest.settings()
        .with(it -> {
          it.promptsPerEpoch(4);
          it.samplesPerPrompt(6);
        });
  }

  private static Trainer trainer(
      Policy policy, RolloutObjective objective, TrainerSettings settings, Reward reward) {
    return new Trainer(
        policy,
        objective,
        new GroupAdvantages(),
        PromptSource.of("a cat", "a dog", "an owl", "a bee"),
        reward,
        settings);
  }

  private static Trainer trainer(
      Policy policy, RolloutObjective objective, TrainerSettings settings) {
    return trainer(policy, objective, settings, BRIGHTNESS);
  }

  @ParameterizedTest
  @MethodSource("objectives")
  void everyObjectiveRaisesTheReward(RolloutObjective objective) {
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer = trainer(model.policy(1, 2), objective, settings())) {
      EpochReport first = trainer.epoch();
      assertTrue(first.ratioDeviation() <= 1e-6, "deviation " + first.ratioDeviation());
      trainer.run(10);
      EpochReport last = trainer.epoch();
      assertTrue(
          last.rewards().mean() > first.rewards().mean() + 0.1,
          first.rewards().mean() + " to " + last.rewards().mean());
      assertTrue(last.klToBase() > 0);
      assertTrue(last.metrics().containsKey("implicit_accuracy"));
      assertEquals(24, last.updates());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void resumedRunsAreTheSameBitForBit(boolean offline, @TempDir Path folder) throws Exception {
    TrainerSettings settings =
        settings()
            .with(it -> {
              it.offline(offline);
              it.sharedStart(true);
              it.passes(2);
            });
    Path file = folder.resolve("state.safetensors");
    Path one = folder.resolve("one.safetensors");
    Path other = folder.resolve("other.safetensors");
    try (var straight = new TinyModel(Device.cpu());
        var first = new TinyModel(Device.cpu());
        var second = new TinyModel(Device.cpu());
        Trainer all = trainer(straight.policy(1, 2), PRDP, settings);
        Trainer before = trainer(first.policy(1, 2), PRDP, settings);
        Trainer after =
            trainer(second.policy(1, 2), PRDP, settings, offline ? never() : BRIGHTNESS)) {
      all.run(4);
      before.run(2);
      before.save(file);
      after.resume(file);
      after.run(2);
      all.save(one);
      after.save(other);
      assertEquals(-1, Files.mismatch(one, other));
      assertEquals(offline ? 24 : 96, after.rewardQueries());
    }
  }

  private static Reward never() {
    return Reward.named(
        BRIGHTNESS.name(),
        _ -> {
          throw new AssertionError("what was collected is scored again");
        });
  }

  @Test
  void offlineSamplesAreDrawnOnceAndByTheBaseModel() {
    List<double[]> offline = new ArrayList<>();
    Reward counting =
        Reward.named(
            "counting",
            batch -> {
              double[] scores = TrainerTest.brightness(batch);
              offline.add(scores);
              return scores;
            });
    TrainerSettings collected =
        settings()
            .with(it -> {
              it.offline(true);
              it.samplingBatch(24);
            });
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer =
            trainer(
                model.policy(1, 2),
                new Ppod(Link.SIGMOID, Span.CHAIN, 1, .5),
                collected,
                counting)) {
      EpochReport first = trainer.epoch();
      assertEquals(0.5, first.metrics().get("implicit_accuracy"), 0.4);
      trainer.run(10);
      EpochReport last = trainer.epoch();
      assertEquals(1, offline.size());
      assertEquals(24, trainer.rewardQueries());
      assertTrue(last.loss() < first.loss(), first.loss() + " to " + last.loss());
      assertTrue(last.ratioDeviation() <= 1e-6, "deviation " + last.ratioDeviation());
      assertTrue(last.metrics().get("implicit_accuracy") > 0.8, last.metrics()::toString);
    }
  }

  @Test
  void aFrozenCopyAndSwitchedOffAdaptersAreTheSameReference() {
    for (boolean offline : new boolean[] {false, true}) {
      double[][] reached = new double[2][];
      for (int i = 0; i < 2; i++) {
        try (var model = new TinyModel(Device.cpu());
            Lora lora = new Lora(model.parameters, new Lora.Size(2, 2), name -> true, Rng.of(3))) {
          Denoiser off =
              (x, timesteps, context) ->
                  lora.without(() -> model.denoiser.predict(x, timesteps, context));
          Denoiser reference = i == 0 ? TinyModel.denoiser(model.frozen) : off;
          Policy policy = model.policy(1, 2, lora.parameters(), reference);
          try (Trainer trainer = trainer(policy, PRDP, settings().withOffline(offline))) {
            trainer.run(3);
            EpochReport report = trainer.epoch();
            assertTrue(report.klToBase() > 0);
            reached[i] = new double[] {report.klToBase(), report.loss(), report.rewards().mean()};
          }
        }
      }
      assertArrayEquals(reached[0], reached[1]);
    }
  }

  @Test
  void samplesOfAPromptStartAlikeIfTold() {
    // Without any noise on the way only the start tells samples of a prompt apart.
    for (boolean shared : new boolean[] {false, true}) {
      List<double[]> scored = new ArrayList<>();
      Reward watching =
          Reward.named(
              "watching",
              batch -> {
                double[] scores = TrainerTest.brightness(batch);
                scored.add(scores);
                return scores;
              });
      var weighted = new RewardWeightedRegression(1, true, 1);
      TrainerSettings settings =
          settings()
              .with(it -> {
                it.sharedStart(shared);
                it.samplingBatch(24);
              });
      try (var model = new TinyModel(Device.cpu());
          Trainer trainer = trainer(model.policy(0, 2), weighted, settings, watching)) {
        trainer.epoch();
      }
      double[] scores = scored.getFirst();
      for (int prompt = 0; prompt < 4; prompt++) {
        double[] group = Arrays.copyOfRange(scores, 6 * prompt, 6 * prompt + 6);
        long distinct = Arrays.stream(group).distinct().count();
        assertEquals(shared ? 1 : 6, distinct);
      }
      assertEquals(shared ? 4 : 24, Arrays.stream(scores).distinct().count());
    }
  }

  @Test
  void partsThatDoNotFitAreNamed() {
    try (var model = new TinyModel(Device.cpu())) {
      Policy policy = model.policy(1, 2);
      refused(policy, PRDP, settings().withSamplesPerPrompt(1), "prdp", "one prompt");
      refused(
          policy,
          PRDP,
          settings()
              .with(it -> {
                it.promptsPerEpoch(3);
                it.updatesPerEpoch(2);
              }),
          "3 prompts",
          "2 updates");
      refused(policy, PRDP, settings().withStepFraction(.5), "whole chains");
      refused(model.policy(0, 2), PRDP, settings(), "prdp", "eta 0");
      Policy alone = model.policy(1, 2, model.parameters, null);
      Policy without =
          new Policy(
              alone.process(),
              alone.prediction(),
              alone.denoiser(),
              null,
              alone.parameters(),
              alone.encoder(),
              2,
              3,
              1);
      refused(without, PRDP, settings(), "prdp", "no reference model", "frozen copy");
      refused(
          policy, new DdpoImportanceSampled(), settings().withOffline(true), "ddpo_is", "offline");
    }
  }

  private static void refused(
      Policy policy, RolloutObjective objective, TrainerSettings settings, String... parts) {
    var error =
        assertThrows(ReverieException.class, () -> trainer(policy, objective, settings).close());
    TrainerTest.assertContains(error, parts);
  }
}
