// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.Policy;
import reverie.rl.advantage.Advantages;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.DpokPublished;
import reverie.rl.objective.Grpo;
import reverie.rl.objective.RewardWeightedRegression;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.objective.SparseRegression;
import reverie.rl.objective.ValueFunction;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.ReverieException;

class TrainerTest {
  static final PromptSource PROMPTS = PromptSource.of("a cat", "a dog", "an owl", "a bee");

  /** Brightness of a sample, not clamped. */
  static final Reward BRIGHTNESS = Reward.named("brightness", TrainerTest::brightness);

  private TinyModel model;

  @BeforeEach
  void make() {
    model = new TinyModel(Device.cpu());
  }

  @AfterEach
  void close() {
    model.close();
  }

  static double[] brightness(RewardBatch batch) {
    double[] scores = new double[batch.size()];
    int size = batch.values().length / scores.length;
    for (int i = 0; i < batch.values().length; i++) {
      scores[i / size] += batch.values()[i] / size;
    }
    return scores;
  }

  static TrainerSettings settings() {
    return TrainerSettings.defaults()
        .with(it -> {
          it.seed(11);
          it.promptsPerEpoch(3);
          it.samplesPerPrompt(8);
          it.samplingBatch(10);
          it.trainingBatch(7);
          it.learningRate(2e-2);
        });
  }

  private Trainer trainer(RolloutObjective objective, TrainerSettings settings) {
    return trainer(model.policy(1, 2), objective, settings);
  }

  private static Trainer trainer(
      Policy policy, RolloutObjective objective, TrainerSettings settings) {
    Advantages advantages = new GroupAdvantages();
    return new Trainer(policy, objective, advantages, PROMPTS, BRIGHTNESS, settings);
  }

  static Stream<RolloutObjective> objectives() {
    return Stream.of(
        new DdpoScoreFunction(),
        new DdpoImportanceSampled(1e-1, 5),
        new Grpo(1e-1, 5),
        new Dpok(1e-1, 5, new ValueFunction(16, 1e-3, 5, 64)),
        new DpokPublished(1e-1, new ValueFunction(16, 1e-3, 5, 64)),
        new RewardWeightedRegression(20, true, 4),
        new SparseRegression(0.75, true, 4));
  }

  @ParameterizedTest
  @MethodSource("objectives")
  void everyObjectiveRaisesTheReward(RolloutObjective objective) {
    try (var fresh = new TinyModel(Device.cpu());
        Trainer trainer = trainer(fresh.policy(1, 2), objective, settings())) {
      double before = trainer.epoch().rewards().mean();
      trainer.run(10);
      double after = trainer.epoch().rewards().mean();
      assertTrue(after > before + 0.1, before + " to " + after);
    }
  }

  @Test
  void ratioIsOneBeforeTheFirstUpdateAndMovesAfterwards() {
    try (Trainer trainer = trainer(new DdpoImportanceSampled(1e-2, 5), settings())) {
      EpochReport report = trainer.epoch();
      assertTrue(report.ratioDeviation() <= 1e-6, "deviation " + report.ratioDeviation());
      assertTrue(report.largestRatio() > 1.001 && report.smallestRatio() < 0.999);
      assertTrue(report.clipFraction() > 0 && report.clipFraction() < 1);
      assertTrue(report.approximateKl() > 0);
      assertTrue(report.klToBase() > 0);
      assertTrue(report.gradientNorm() > 0);
      assertEquals(2, report.updates());
      assertEquals(24, report.rewardQueries());
      assertEquals(24, report.rewards().count());
      assertEquals(0, report.epoch());
      assertFalse(report.metrics().values().stream().anyMatch(v -> v.isNaN()));
    }
  }

  @Test
  void aModelThatAnswersDifferentlyInTrainingIsRefused() {
    Policy policy = model.policy(1, 2);
    Policy fickle =
        new Policy(
            policy.process(),
            policy.prediction(),
            (x, t, c) -> {
              var output = policy.denoiser().predict(x, t, c);
              return Interpreter.current() instanceof Tape ? output.mul(1.01) : output;
            },
            null,
            policy.parameters(),
            policy.encoder(),
            policy.height(),
            policy.width(),
            policy.channels());
    List<float[]> before = weights(model);
    try (Trainer trainer = trainer(fickle, new DdpoImportanceSampled(), settings())) {
      var error = assertThrows(ReverieException.class, trainer::epoch);
      assertContains(error, "ratio", "should be 1", "dropout");
    }
    assertSame(before, weights(model));
  }

  @Test
  void etaZeroIsAnErrorForLikelihoodsOnly() {
    Policy deterministic = model.policy(0, 2);
    var error =
        assertThrows(
            ReverieException.class,
            () -> trainer(deterministic, new DdpoImportanceSampled(), settings()));
    assertContains(error, "ddpo_is", "eta 0");
    var regression = new RewardWeightedRegression(5, true, 1);
    try (Trainer trainer = trainer(deterministic, regression, settings())) {
      EpochReport report = trainer.epoch();
      assertTrue(Double.isNaN(report.klToBase()));
      assertFalse(report.metrics().containsKey("ratio_max"));
      assertTrue(report.metrics().containsKey("loss"));
    }
  }

  @Test
  void samplesDoNotDependOnTheBatch() {
    List<double[]> rewards = new ArrayList<>();
    for (int batch : new int[] {1, 5, 24}) {
      try (var fresh = new TinyModel(Device.cpu());
          Trainer trainer =
              new Trainer(
                  fresh.policy(1, 2),
                  new DdpoScoreFunction(),
                  new GroupAdvantages(),
                  PROMPTS,
                  BRIGHTNESS,
                  settings().withSamplingBatch(batch),
                  new TrainerListener() {
                    private final List<Double> all = new ArrayList<>();

                    @Override
                    public void scored(int epoch, RewardBatch scored, double[] earned) {
                      assertEquals(Math.min(batch, scored.size()), scored.size());
                      for (double reward : earned) {
                        all.add(reward);
                      }
                    }

                    @Override
                    public void finished(EpochReport report) {
                      rewards.add(all.stream().mapToDouble(r -> r).toArray());
                    }
                  })) {
        trainer.epoch();
      }
    }
    assertArrayEquals(rewards.get(0), rewards.get(1), 1e-6);
    assertArrayEquals(rewards.get(0), rewards.get(2), 1e-6);
  }

  @Test
  void gradientDoesNotDependOnTheTrainingBatch() {
    List<List<float[]>> results = new ArrayList<>();
    for (int batch : new int[] {1, 24}) {
      try (var fresh = new TinyModel(Device.cpu());
          Trainer trainer =
              trainer(
                  fresh.policy(1, 2),
                  new DdpoScoreFunction(),
                  settings().withTrainingBatch(batch))) {
        trainer.epoch();
        results.add(weights(fresh));
      }
    }
    for (int i = 0; i < results.getFirst().size(); i++) {
      assertArrayEquals(results.get(0).get(i), results.get(1).get(i), 2e-3f);
    }
  }

  @Test
  void aFailingRewardStopsTheRunBeforeAnythingChanges() {
    List<float[]> before = weights(model);
    Reward bad = Reward.named("bad", batch -> new double[] {Double.NaN});
    try (Trainer trainer =
        new Trainer(
            model.policy(1, 2),
            new DdpoScoreFunction(),
            new GroupAdvantages(),
            PROMPTS,
            bad,
            settings().withSamplingBatch(1))) {
      assertContains(assertThrows(ReverieException.class, trainer::epoch), "bad", "batch 0");
    }
    assertSame(before, weights(model));
  }

  @Test
  void interruptionEndsTheEpochAndForbidsSaving(@TempDir Path folder) throws IOException {
    TrainerListener interrupter =
        new TrainerListener() {
          @Override
          public void trained(int epoch, int done, int total) {
            assertEquals(120, total);
            if (done > 60) {
              Thread.currentThread().interrupt();
            }
          }
        };
    try (Trainer trainer =
        new Trainer(
            model.policy(1, 2),
            new DdpoScoreFunction(),
            new GroupAdvantages(),
            PROMPTS,
            BRIGHTNESS,
            settings(),
            interrupter)) {
      Path begun = folder.resolve("begun.safetensors");
      trainer.save(begun);
      assertThrows(CancellationException.class, trainer::epoch);
      assertTrue(Thread.interrupted());
      Path file = folder.resolve("state.safetensors");
      assertContains(
          assertThrows(ReverieException.class, () -> trainer.save(file)), "epoch 0 was cut off");
      assertFalse(Files.exists(file));
      assertThrows(ReverieException.class, trainer::epoch);
      trainer.resume(begun);
      trainer.save(file);
      assertEquals(-1, Files.mismatch(begun, file));
    }
  }

  @Test
  void partsThatDoNotFitAreRefused() {
    Policy policy = model.policy(1, 2);
    Policy alone =
        new Policy(
            policy.process(),
            policy.prediction(),
            policy.denoiser(),
            null,
            policy.parameters(),
            policy.encoder(),
            2,
            3,
            1);
    long before = policy.device().liveBytes();
    TrainerSettings anchored = settings().withKlWeight(0.1);
    assertContains(
        assertThrows(
            ReverieException.class, () -> trainer(alone, new DdpoScoreFunction(), anchored)),
        "reference");
    var regression = new RewardWeightedRegression(5, true, 1);
    assertContains(
        assertThrows(ReverieException.class, () -> trainer(policy, regression, anchored)), "rwr");
    Policy longer = policy.along(ReversePolicy.ddim(SchedulerConfig.defaults(), 1000, 1));
    TrainerSettings many =
        settings().withUpdatesPerEpoch(1).withSamplesPerPrompt(1).withPromptsPerEpoch(9_000_000);
    assertContains(
        assertThrows(ReverieException.class, () -> trainer(longer, new DdpoScoreFunction(), many)),
        "promptsPerEpoch",
        "2147483647 states");
    assertEquals(before, policy.device().liveBytes());
    assertContains(
        assertThrows(ReverieException.class, () -> settings().withUpdatesPerEpoch(7)),
        "24 samples",
        "7 updates");
    assertThrows(ReverieException.class, () -> settings().withStepFraction(0));
    model.parameters.freeze(_ -> true);
    assertContains(assertThrows(ReverieException.class, () -> model.policy(1, 2)), "trainable");
  }

  static List<float[]> weights(TinyModel model) {
    return model.parameters.all().stream().map(Parameter::value).map(v -> v.toFloats()).toList();
  }

  static void assertSame(List<float[]> expected, List<float[]> actual) {
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i), actual.get(i));
    }
  }

  static void assertContains(ReverieException error, String... parts) {
    for (String part : parts) {
      assertTrue(error.getMessage().contains(part), () -> part + " is not in: " + error);
    }
  }
}
