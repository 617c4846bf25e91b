// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.autograd.Tape;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.Lora;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.Denoiser;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.Prediction;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.ContextEncoder;
import reverie.rl.Policy;
import reverie.rl.objective.DiffusionDpo;
import reverie.rl.preference.Preference;
import reverie.rl.preference.PreferenceDataset;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** Training from pairs of images that were compared before. */
class PreferenceTest {
  private static final int PIXELS = TinyModel.HEIGHT * TinyModel.WIDTH;
  @TempDir Path folder;

  /** Of two noisy images the brighter one is preferred. */
  private static PreferenceDataset bright(int pairs) {
    List<Preference> list = new ArrayList<>();
    for (int i = 0; i < pairs; i++) {
      Rng rng = Rng.of(3).fork(i);
      float[] dark = new float[PIXELS];
      float[] light = new float[PIXELS];
      for (int j = 0; j < PIXELS; j++) {
        dark[j] = (float) (rng.uniform(j) - 0.8);
        light[j] = dark[j] + 0.6f;
      }
      list.add(new Preference(new Prompt(i % 2 == 0 ? "a cat" : "a dog"), light, dark));
    }
    return PreferenceDataset.of(list);
  }

  private static TrainerSettings settings() {
    return TrainerTest.settings()
        .with(it -> {
          it.promptsPerEpoch(24);
          it.samplesPerPrompt(1);
          it.learningRate(5e-3);
          it.emaDecay(0.9);
        });
  }

  private static Trainer trainer(TinyModel model, TrainerSettings settings) {
    return new Trainer(model.policy(1, 2), new DiffusionDpo(50), bright(20), settings);
  }

  @Test
  void learnsWhatIsPreferredWithoutRewards() {
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer = trainer(model, settings())) {
      EpochReport first = trainer.epoch();
      trainer.run(30);
      EpochReport last = trainer.epoch();
      assertTrue(last.loss() < first.loss() - 0.1, first.loss() + " to " + last.loss());
      assertTrue(last.more().get("implicit_accuracy") > 0.8, () -> "" + last.more());
      assertTrue(last.more().get("excess_rejected") > last.more().get("excess_chosen"));
      assertEquals(0, last.rewardQueries());
      assertEquals(0, last.rewards().count());
      assertTrue(last.metrics().values().stream().allMatch(Double::isFinite));
      assertEquals(Double.NaN, last.ratioDeviation());
      assertTrue(trainer.captureFailure().isEmpty());
    }
  }

  /** Every pair comes once in a round, and every round has an order of its own. */
  @Test
  void epochsGoThroughAllPairsInTurn() {
    List<Integer> asked = new ArrayList<>();
    PreferenceDataset eight = bright(8);
    var noting =
        new PreferenceDataset() {
          @Override
          public int size() {
            return 8;
          }

          @Override
          public Preference get(int index) {
            asked.add(index);
            return eight.get(index);
          }

          @Override
          public String identity() {
            return eight.identity();
          }
        };
    TrainerSettings four = settings().withUpdatesPerEpoch(1).withPromptsPerEpoch(4);
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer = new Trainer(model.policy(1, 2), new DiffusionDpo(50), noting, four)) {
      trainer.run(4);
    }
    List<Integer> all = List.of(0, 1, 2, 3, 4, 5, 6, 7);
    assertEquals(all, asked.subList(0, 8).stream().sorted().toList());
    assertEquals(all, asked.subList(8, 16).stream().sorted().toList());
    assertNotEquals(asked.subList(0, 8), asked.subList(8, 16));
  }

  @Test
  void beforeAnyUpdateTheLossIsThatOfACoin() {
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer = trainer(model, settings().withUpdatesPerEpoch(1))) {
      EpochReport report = trainer.epoch();
      assertEquals(Math.log(2), report.loss(), 1e-6);
      assertEquals(0.5, report.more().get("implicit_accuracy"));
      assertTrue(report.klToBase() > 0);
    }
  }

  /** A model that is moved by θ standard deviations at both decisions: its KL is θ² / 2. */
  @Test
  void theDistanceToTheBaseIsMeasured() {
    ReversePolicy process =
        ReversePolicy.ddim(SchedulerConfig.stableDiffusion(), 5, 1).deciding(step -> step > 2);
    try (Parameters parameters = Parameters.random(Device.reference(), Rng.of(0))) {
      Parameter theta = parameters.create("theta", AxisOrder.SAME, Initialiser.zeros(), 1);
      Denoiser base = (x, _, _) -> x.mul(0.5);
      Denoiser moved =
          (x, timesteps, _) -> {
            double[] factors = timesteps.toDoubles();
            Arrays.setAll(factors, i -> factor(process, (int) factors[i]));
            Tensor shift = x.device().tensor(factors, factors.length, 1, 1, 1).mul(theta.value());
            return x.mul(0.5).add(shift);
          };
      Policy policy =
          new Policy(
              process,
              Prediction.EPSILON,
              moved,
              base,
              parameters,
              ContextEncoder.NONE,
              TinyModel.HEIGHT,
              TinyModel.WIDTH,
              1);
      try (Trainer trainer = new Trainer(policy, new DiffusionDpo(50), bright(20), settings())) {
        for (int epoch = 0; epoch < 3; epoch++) {
          EpochReport report = trainer.epoch();
          double now = theta.value().item();
          assertTrue(now * now > 1e-6, "theta " + now);
          assertEquals(now * now / 2, report.klToBase(), 1e-9 * now * now);
        }
      }
    }
  }

  private static double factor(ReversePolicy process, int timestep) {
    for (int step : process.decisions()) {
      if (process.grid().timestep(step) == timestep) {
        return process.sigma(step) / process.outputFactor(step);
      }
    }
    return 1;
  }

  @Test
  void theGradientIsThatOfOneGraphWhateverTheBatch() {
    try (var model = new TinyModel(Device.reference());
        Scope _ = Scope.open("test")) {
      Policy policy = model.policy(1, 3);
      model.move(0.1);
      List<Preference> pairs = IntStream.range(0, 6).mapToObj(bright(6)::get).toList();
      double[] expected = oneGraph(policy, pairs);
      for (int batch : new int[] {1, 4, 6}) {
        TrainerSettings settings = TrainerSettings.defaults().withTrainingBatch(batch);
        try (var sums = new GradientAccumulator(policy.parameters().trainable());
            var learner = new PreferenceLearner(policy, new DiffusionDpo(20), settings, sums)) {
          learner.begin(pairs, new Diagnostics(), _ -> {});
          learner.differentiate(new int[][] {IntStream.range(0, 6).toArray()}, Rng.of(1));
          assertArrayEquals(
              expected,
              policy.parameters().trainable().stream()
                  .flatMapToDouble(p -> Arrays.stream(sums.gradient(p).toDoubles()))
                  .toArray(),
              1e-12);
        }
      }
    }
  }

  /** The formula of the paper for one pair after the other. */
  private static double[] oneGraph(Policy policy, List<Preference> pairs) {
    List<Tensor> roots = policy.parameters().trainable().stream().map(Parameter::value).toList();
    var plain =
        new DenoisingLoss(
            policy.process().schedule(), policy.prediction(), Double.POSITIVE_INFINITY);
    Tape.Result result =
        Tape.run(
            roots,
            () -> {
              Tensor sum = policy.device().scalar(0);
              for (int i = 0; i < pairs.size(); i++) {
                Tensor won = image(policy, pairs.get(i).chosen());
                Tensor lost = image(policy, pairs.get(i).rejected());
                DenoisingLoss.NoiseDraw draw = plain.draw(won, Rng.of(1).fork(i));
                Tensor context = policy.encoder().encode(List.of(pairs.get(i).prompt()));
                Tensor inside =
                    plain
                        .perSample(policy.denoiser(), won, context, draw)
                        .sub(plain.perSample(policy.reference(), won, context, draw))
                        .sub(plain.perSample(policy.denoiser(), lost, context, draw))
                        .add(plain.perSample(policy.reference(), lost, context, draw))
                        .mul(-0.5 * 20);
                sum = sum.sub(inside.sigmoid().log().sum());
              }
              return sum.mul(1.0 / pairs.size());
            });
    return roots.stream()
        .flatMapToDouble(root -> Arrays.stream(result.gradient(root).toDoubles()))
        .toArray();
  }

  private static Tensor image(Policy policy, float... pixels) {
    return policy.device().tensor(pixels, 1, TinyModel.HEIGHT, TinyModel.WIDTH, 1);
  }

  @Test
  void aFrozenCopyAndSwitchedOffAdaptersAreTheSameReference() {
    List<EpochReport> reports = new ArrayList<>();
    for (boolean copy : new boolean[] {true, false}) {
      try (var model = new TinyModel(Device.cpu());
          Lora lora = new Lora(model.parameters, new Lora.Size(2, 2), _ -> true, Rng.of(3))) {
        Policy policy =
            model.policy(
                1,
                2,
                lora.parameters(),
                copy
                    ? TinyModel.denoiser(model.frozen)
                    : (x, t, c) -> lora.without(() -> model.denoiser.predict(x, t, c)));
        try (Trainer trainer = new Trainer(policy, new DiffusionDpo(50), bright(20), settings())) {
          trainer.run(3);
          reports.add(trainer.epoch());
        }
      }
    }
    assertEquals(reports.get(0).loss(), reports.get(1).loss());
    assertEquals(reports.get(0).gradientNorm(), reports.get(1).gradientNorm());
    assertTrue(reports.get(0).loss() != Math.log(2));
  }

  @Test
  void goesOnBitForBit() throws IOException {
    Path straight = folder.resolve("straight");
    Path half = folder.resolve("half");
    Path resumed = folder.resolve("resumed");
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer = trainer(model, settings())) {
      trainer.run(2);
      trainer.save(half);
      trainer.run(3);
      trainer.save(straight);
    }
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer = trainer(model, settings())) {
      trainer.resume(half);
      trainer.run(3);
      trainer.save(resumed);
    }
    assertEquals(-1, Files.mismatch(straight, resumed));
    try (var model = new TinyModel(Device.cpu());
        Trainer other =
            new Trainer(model.policy(1, 2), new DiffusionDpo(50), bright(21), settings())) {
      var error = assertThrows(ReverieException.class, () -> other.resume(half));
      TrainerTest.assertContains(error, "another preferences", "20 pairs", "21 pairs");
    }
  }

  @Test
  void whatDoesNotFitIsNamed() {
    try (var model = new TinyModel(Device.cpu())) {
      Policy policy = model.policy(1, 2);
      refused(policy, bright(2), settings().withKlWeight(1), "klWeight is 1.0");
      Policy lonely = new Policy(policy.process(), policy.denoiser(), policy.parameters(), 2, 3, 1);
      refused(lonely, bright(2), settings(), "needs a reference model");
      PreferenceDataset large =
          PreferenceDataset.of(
              List.of(new Preference(new Prompt("owl"), new float[PIXELS], new float[7])));
      refused(policy, large, settings(), "2×3×1 = 6 values, got 6 and 7 for \"owl\"");
      assertThrows(ReverieException.class, () -> PreferenceDataset.of(List.of()));
      Preference pair = bright(1).get(0);
      assertNotEquals(
          bright(1).identity(),
          PreferenceDataset.of(
                  List.of(new Preference(pair.prompt(), pair.chosen(), new float[PIXELS])))
              .identity());
    }
  }

  private static void refused(
      Policy policy, PreferenceDataset data, TrainerSettings settings, String part) {
    var error =
        assertThrows(
            ReverieException.class,
            () -> {
              try (Trainer trainer = new Trainer(policy, new DiffusionDpo(), data, settings)) {
                trainer.epoch();
              }
            });
    TrainerTest.assertContains(error, part);
  }
}
