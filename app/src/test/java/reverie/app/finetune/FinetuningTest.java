// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.app.config.Configuration;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.PreferenceFile;
import reverie.app.evaluate.Evaluation;
import reverie.app.evaluate.Preferences;
import reverie.app.model.LoadedModel;
import reverie.app.model.ModelFolder;
import reverie.app.model.ModelPrompts;
import reverie.app.report.EvaluationPoint;
import reverie.app.report.Summary;
import reverie.app.reward.BuiltInReward;
import reverie.app.run.Interruption;
import reverie.app.run.Metrics;
import reverie.app.run.RunFolder;
import reverie.app.text.PromptEncoder;
import reverie.diffusion.SchedulerConfig;
import reverie.rl.objective.Objective;
import reverie.rl.objective.Objectives;
import reverie.rl.objective.PreferenceObjective;
import reverie.rl.prompt.Prompt;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.io.Safetensors;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/** Whole runs with a model too small to learn anything. */
class FinetuningTest {
  private static final PrintWriter NOWHERE = new PrintWriter(Writer.nullWriter());
  private static final Encoder ENCODER = new Encoder();
  private static final Path WEIGHTS = Path.of("model/unet/diffusion_pytorch_model.safetensors");
  @TempDir static Path shared;
  @TempDir Path folder;

  /** Words are random numbers. */
  private record Encoder() implements PromptEncoder {
    @Override
    public String identity() {
      return "words";
    }

    @Override
    public int tokens() {
      return 2;
    }

    @Override
    public int dimensions() {
      return 8;
    }

    @Override
    public float[] encode(String prompt) {
      float[] states = new float[16];
      Rng rng = Rng.of(1).fork(prompt);
      for (int i = 0; i < states.length; i++) {
        states[i] = (float) rng.uniform(i) * 2 - 1;
      }
      return states;
    }
  }

  @BeforeAll
  static void makeAModel() {
    UNetConfig config =
        UNetConfig.parse(
            """
            {"_class_name": "UNet2DConditionModel", "sample_size": 16, "in_channels": 3, "out_channels": 3,
             "down_block_types": ["CrossAttnDownBlock2D"], "mid_block_type": "UNetMidBlock2DCrossAttn",
             "up_block_types": ["CrossAttnUpBlock2D"], "block_out_channels": [4], "layers_per_block": 1,
             "attention_head_dim": 2, "cross_attention_dim": 8, "norm_num_groups": 2}
            """);
    try (UNet unet = UNet.random(config, Device.cpu(), Rng.of(2))) {
      new ModelFolder(unet, SchedulerConfig.defaults(), ENCODER.identity(), ModelPrompts.ofIcons())
          .write(shared.resolve("model"));
    }
  }

  @Test
  void anInterruptedRunEndsWithTheSameBits() throws IOException {
    Path whole = folder.resolve("whole");
    finetune(whole, false, () -> false);
    Path cut = folder.resolve("cut");
    Interruption.Stopped stopped =
        assertThrows(
            Interruption.Stopped.class,
            () -> finetune(cut, false, () -> Files.exists(cut.resolve("images/heldout-before"))));
    assertTrue(
        stopped.getMessage().contains("after epoch 1; go on with --resume " + cut),
        stopped::getMessage);
    // What a kill -9 would leave as well.
    Files.writeString(
        cut.resolve("metrics.jsonl"),
        Files.readString(cut.resolve("metrics.jsonl")) + "{\"step\":2,\"reward_mean\":0}\n{\"st");
    finetune(cut, true, () -> false);

    Path weights = Path.of("model/unet/diffusion_pytorch_model.safetensors");
    assertArrayEquals(
        Files.readAllBytes(whole.resolve(weights)), Files.readAllBytes(cut.resolve(weights)));
    assertEquals(rewards(whole), rewards(cut));
    assertEquals(List.of(0L, 1L, 2L), Metrics.read(cut).stream().map(Metrics.Line::step).toList());
    Summary summary = Summary.read(cut).orElseThrow();
    assertEquals(8, summary.rewardQueries());
    assertEquals(6, summary.heldoutAfter().n());
    assertTrue(summary.ratioSelfTestMaxDeviation() <= 1e-5);
    assertTrue(Files.exists(cut.resolve("report.html")));
    assertTrue(Files.exists(cut.resolve("images/before-after.png")));
  }

  @Test
  void resumingMakesWhatIsMissing() throws IOException {
    Path run = folder.resolve("whole");
    finetune(run, false, () -> false);
    Path weights = run.resolve("model/unet/diffusion_pytorch_model.safetensors");
    byte[] model = Files.readAllBytes(weights);
    String report = Files.readString(run.resolve("report.html"));
    Summary summary = Summary.read(run).orElseThrow();
    Files.delete(run.resolve("report.html"));
    Files.delete(run.resolve("summary.json"));
    Files.delete(weights);
    Files.delete(run.resolve("images/training-before/001.png"));
    Files.delete(run.resolve("images/heldout-after/gallery.json"));
    // Also without what was measured, for the checkpoint knows what the summary needs.
    Files.delete(run.resolve("metrics.jsonl"));
    finetune(run, true, () -> false);
    assertArrayEquals(model, Files.readAllBytes(weights));
    assertEquals(summary.rewardBefore(), Summary.read(run).orElseThrow().rewardBefore());
    assertEquals(summary.rewardAfter(), Summary.read(run).orElseThrow().rewardAfter());
    assertEquals(figures(report), figures(Files.readString(run.resolve("report.html"))));
  }

  private static long figures(String report) {
    return report.lines().flatMap(line -> Stream.of(line.split("<img "))).count();
  }

  @Test
  void aDamagedFileOfARunIsOneError() throws IOException {
    Path run = folder.resolve("run");
    assertThrows(
        Interruption.Stopped.class,
        () -> finetune(run, false, () -> Files.exists(run.resolve("images/heldout-before"))));
    Path checkpoint = run.resolve("checkpoint.safetensors");
    byte[] whole = Files.readAllBytes(checkpoint);
    byte[] flipped = whole.clone();
    flipped[flipped.length - 1000] ^= 4;
    Files.write(checkpoint, flipped);
    assertRefused(run, checkpoint + " is damaged");
    Files.write(checkpoint, Arrays.copyOf(whole, 100));
    assertRefused(run, checkpoint.toString());
    Files.delete(checkpoint);
    String metrics = Files.readString(run.resolve("metrics.jsonl"));
    Files.writeString(
        run.resolve("metrics.jsonl"), metrics + "{\"step\":2}\n", StandardOpenOption.WRITE);
    assertRefused(run, "checkpoint.safetensors is missing, though the run came to epoch 2");
    Files.write(checkpoint, whole);
    Files.writeString(run.resolve("metrics.jsonl"), "[]\n" + metrics);
    assertRefused(run, "line 1 is damaged");
    Files.writeString(run.resolve("metrics.jsonl"), metrics);
    Files.writeString(run.resolve("versions.json"), "no");
    assertRefused(run, "versions.json: this is no JSON");
    Files.delete(run.resolve("versions.json"));
    finetune(run, true, () -> false);
    Files.writeString(run.resolve("summary.json"), "{\"reward_before\": 7}");
    assertRefused(run, "summary.json: expected a number or null for mean");
  }

  private void assertRefused(Path run, String part) {
    ReverieException error =
        assertThrows(ReverieException.class, () -> finetune(run, true, () -> false));
    assertTrue(error.getMessage().contains(part), error::getMessage);
    assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
  }

  @Test
  void adaptersAreAddedToTheModelThatIsSaved() throws IOException {
    Path run = folder.resolve("lora");
    finetune(run, false, () -> false, "lora.rank=2", "optimizer.learning_rate=0.1");
    Path weights = Path.of("unet/diffusion_pytorch_model.safetensors");
    assertEquals(
        Files.size(shared.resolve("model").resolve(weights)),
        Files.size(run.resolve("model").resolve(weights)));
    assertTrue(
        Files.mismatch(
                shared.resolve("model").resolve(weights), run.resolve("model").resolve(weights))
            > 0);
  }

  @Test
  void everyObjectiveIsOneSetting() {
    for (Objective objective : Objectives.ALL) {
      List<String> settings = new ArrayList<>();
      settings.add("objective=" + objective.name());
      if (objective instanceof PreferenceObjective) {
        settings.add("preferences=" + preferences());
      }
      Path run = folder.resolve(objective.name());
      finetune(run, false, () -> false, settings.toArray(String[]::new));
      assertTrue(Files.exists(run.resolve("report.html")), objective.name());
      Metrics.Line last = Metrics.read(run).getLast();
      assertEquals(2, last.step(), objective.name());
      assertTrue(Double.isFinite(last.values().get("loss")), objective.name());
      assertTrue(last.values().get("kl_to_base") > 0, objective.name());
    }
  }

  /** That the setting counts in the loss: with equal samples, all else is the same. */
  @ParameterizedTest
  @ValueSource(strings = {"grpo", "dpok", "dpok_published"})
  void theWeightOfTheKlKeepsTheModelNearTheBase(String objective) {
    double free = klToBase(objective, 0);
    double held = klToBase(objective, 1000);
    assertTrue(free > 0 && held > 0, free + " and " + held);
    assertTrue(held < free / 2, () -> "KL " + held + " with a weight, " + free + " without");
  }

  private double klToBase(String objective, double beta) {
    Path run = folder.resolve(objective + beta);
    finetune(
        run,
        false,
        () -> false,
        "objective=" + objective,
        "update.kl_to_base=" + beta,
        "epochs=3",
        "update.clip_range=1",
        "update.warmup=0",
        "optimizer.learning_rate=0.002");
    return Metrics.read(run).getLast().values().get("kl_to_base");
  }

  /** Pairs drawn by the model, of which the larger file is preferred. */
  private Path preferences() {
    Path file = folder.resolve("preferences/preferences.jsonl");
    var sampling =
        new FinetuneConfig.Sampling(
            2, FinetuneConfig.Scheduler.DDIM, Optional.of(1.0), false, 1, 4, 0);
    var reward = BuiltInReward.JPEG_INCOMPRESSIBILITY.make("larger");
    try (LoadedModel model =
        LoadedModel.read(
            shared.resolve("model").toString(), sampling, ENCODER, Device.cpu(), DType.F32)) {
      var evaluation =
          new Evaluation(model.sampler(), Device.cpu(), reward, Duration.ofMinutes(1), null, 1);
      List<Prompt> prompts = List.of(new Prompt("a"), new Prompt("b"), new Prompt("a"));
      List<PreferenceFile.Judged> pairs =
          Preferences.draw(evaluation, model.denoiser(), prompts, _ -> {});
      assertFalse(pairs.isEmpty());
      for (PreferenceFile.Judged pair : pairs) {
        assertEquals(pair.scores()[0] > pair.scores()[1] ? 0 : 1, pair.choice());
      }
      PreferenceFile.write(file, pairs);
    }
    return file;
  }

  @Test
  void watchesWhatIsNotOptimised() throws IOException {
    Path run = folder.resolve("watched");
    finetune(run, false, () -> false, "watch=[colourfulness, jpeg_incompressibility]");
    List<Metrics.Line> lines = Metrics.read(run);
    for (Metrics.Line line : lines.subList(1, 3)) {
      // The same images, the same bytes.
      assertEquals(
          -line.values().get("reward_mean"),
          line.values().get("watched/jpeg_incompressibility_mean"),
          1e-9);
      assertTrue(line.values().get("watched/colourfulness_mean") > 0);
      assertTrue(line.values().get(Watch.WITHIN) <= 2 * line.values().get("reward_std") + 1e-9);
    }
    assertTrue(
        Files.readString(run.resolve("report.html")).contains("<h2>What was not optimised</h2>"));
    assertMessage("is the reward that is optimised", "watch=[jpeg_compressibility]");
  }

  @Test
  void whatCannotWorkIsSaidAtOnce() throws IOException {
    assertMessage("eta", "sampling.eta=0");
    assertMessage("prompts.txt does not exist", "prompts.source=" + folder.resolve("prompts.txt"));
    Path empty = Files.writeString(folder.resolve("empty.txt"), "\n# nothing\n");
    assertMessage("has no prompt in it", "prompts.source=" + empty);
    assertMessage("'command' names no program", "reward.command=[]");
    assertMessage("preferences, but none are named", "objective=diffusion_dpo");
    assertMessage(
        "none.jsonl' does not exist", "objective=diffusion_dpo", "preferences=none.jsonl");
    assertMessage("learns from images of its own", "preferences=some.jsonl");
    assertMessage("grpo: expected advantages", "objective=grpo", "advantage.baseline=batch");
    assertMessage("rwr looks at no decisions", "objective=rwr", "update.kl_to_base=0.1");
    assertMessage("ddpo_sf clips nothing", "objective=ddpo_sf", "update.clip_range=0.1");
    assertMessage("sampling.eta is 0.5", "sampling.scheduler=ddpm", "sampling.eta=0.5");
    assertMessage("cps, but the model is a diffusion", "sampling.scheduler=cps");
    assertMessage("compares samples of one prompt", "objective=ppod", "prompts.images_each=1");
    assertMessage(
        "do not divide into 3 updates",
        "objective=plackett_luce",
        "prompts.per_epoch=2",
        "prompts.images_each=6",
        "update.per_epoch=3");
    assertMessage("learns from samples of the policy itself", "rollout.offline=true");
    assertMessage("does not exist", "model=" + folder.resolve("absent"));
    assertMessage("is no model folder", "model=" + folder);
    assertMessage("cannot be started", "reward.command=[/no/such/program]");
    assertMessage("cannot be started", "watch=[{command: [/no/such/program]}]");
  }

  @Test
  void aRunGoesOnForMoreEpochsWithTheSameBits() throws IOException {
    Path whole = folder.resolve("whole");
    finetune(whole, false, () -> false, "epochs=3");
    Path longer = folder.resolve("longer");
    finetune(longer, false, () -> false, "epochs=2");
    finetune(longer, true, () -> false, "epochs=3");
    assertArrayEquals(
        Files.readAllBytes(whole.resolve(WEIGHTS)), Files.readAllBytes(longer.resolve(WEIGHTS)));
    assertEquals(rewards(whole), rewards(longer));
    assertTrue(Files.readString(longer.resolve(RunFolder.CONFIG)).contains("epochs: 3"));
    ReverieException fewer =
        assertThrows(ReverieException.class, () -> finetune(longer, true, () -> false, "epochs=1"));
    assertTrue(fewer.getMessage().contains("epochs: 3 → 1"), fewer::getMessage);
  }

  @Test
  void anotherBaseModelIsNotResumedWith() throws IOException {
    Path model = folder.resolve("model");
    try (UNet unet = UNet.load(shared.resolve("model/unet"), Device.cpu())) {
      new ModelFolder(unet, SchedulerConfig.defaults(), ENCODER.identity(), ModelPrompts.ofIcons())
          .write(model);
      Path run = folder.resolve("run");
      finetune(run, false, () -> false, "model=" + model, "epochs=1");
      try (Scope _ = Scope.open("change")) {
        Tensor weight = unet.parameters().all().getFirst().value();
        weight.assign(weight.add(1e-3));
      }
      new ModelFolder(unet, SchedulerConfig.defaults(), ENCODER.identity(), ModelPrompts.ofIcons())
          .write(model);
      ReverieException error =
          assertThrows(
              ReverieException.class,
              () -> finetune(run, true, () -> false, "model=" + model, "epochs=2"));
      assertTrue(error.getMessage().contains("another base_weights"), error::getMessage);
    }
  }

  /** The averaged weights are what is measured and saved. */
  @Test
  void theAverageIsMeasuredAndSaved() {
    Path run = folder.resolve("run");
    finetune(
        run,
        false,
        () -> false,
        "ema.decay=0.9",
        "optimizer.learning_rate=0.05",
        "update.warmup=0");
    try (Safetensors saved = Safetensors.open(run.resolve(WEIGHTS));
        Safetensors state = Safetensors.open(run.resolve("checkpoint.safetensors"))) {
      float[] bias = saved.floats("conv_in.bias");
      assertArrayEquals(state.floats("average.conv_in.bias"), bias);
      assertFalse(Arrays.equals(state.floats("weight.conv_in.bias"), bias));
    }
    double[] measured = scores(run.resolve("model"));
    EvaluationPoint last = EvaluationPoint.of(Metrics.read(run).getLast()).orElseThrow();
    assertEquals(
        Arrays.stream(measured).limit(3).average().orElseThrow(), last.reward().mean(), 1e-9);
    assertEquals(
        Arrays.stream(measured).average().orElseThrow(),
        Summary.read(run).orElseThrow().rewardAfter().mean(),
        1e-9);
  }

  /** What the images of the run's evaluation score when a model draws them. */
  private static double[] scores(Path model) {
    var sampling =
        new FinetuneConfig.Sampling(
            2, FinetuneConfig.Scheduler.DDIM, Optional.of(1.0), false, 1, 3, 0);
    try (LoadedModel loaded =
        LoadedModel.read(model.toString(), sampling, ENCODER, Device.cpu(), DType.F32)) {
      var reward = BuiltInReward.JPEG_COMPRESSIBILITY.make("smaller");
      var evaluation =
          new Evaluation(loaded.sampler(), Device.cpu(), reward, Duration.ofMinutes(1), null, 1);
      List<Prompt> prompts = loaded.prompts().training().stream().map(Prompt::new).toList();
      return evaluation.of(loaded.denoiser(), Evaluation.choose(prompts, 6, 1), _ -> {}).rewards();
    }
  }

  @Test
  void everyPointOfTheCurveHasTheSameImages() {
    Path run = folder.resolve("run");
    finetune(run, false, () -> false, "optimizer.learning_rate=1e-12");
    for (Metrics.Line line : Metrics.read(run)) {
      assertEquals(3, EvaluationPoint.of(line).orElseThrow().reward().n());
    }
    Summary summary = Summary.read(run).orElseThrow();
    assertEquals(6, summary.rewardChange().n());
    // The same images of the same model differ by nothing, with certainty.
    assertEquals(0, summary.rewardChange().high() - summary.rewardChange().low(), 1e-9);
  }

  /** Somebody else's model: other sizes, one channel, no prompts. */
  @Test
  void modelsOfOtherImagesAreTrainedOnTheirOwnPrompts() throws IOException {
    Path model = folder.resolve("model");
    try (UNet unet = UNet.random(shape(8, 1, true), Device.cpu(), Rng.of(3))) {
      new ModelFolder(
              unet,
              SchedulerConfig.defaults(),
              ENCODER.identity(),
              new ModelPrompts(false, List.of("a red cat", "a dog")))
          .write(model);
    }
    Path run = folder.resolve("run");
    finetune(run, false, () -> false, "model=" + model, "epochs=1");
    Summary summary = Summary.read(run).orElseThrow();
    assertEquals(0, summary.retrievalAfter().n());
    assertEquals(0, summary.heldoutAfter().n());
    assertTrue(Files.readString(run.resolve("report.html")).contains("a red cat"));
    assertEquals(
        List.of("a red cat", "a dog"), Files.readAllLines(run.resolve("model/prompts.txt")));
    assertMessage("compares with the icons", "model=" + model, "reward.name=recognised");
    assertMessage("compares with the icons", "model=" + model, "watch=[recognised]");
    Files.delete(model.resolve("prompts.txt"));
    assertMessage("does not say which prompts", "model=" + model);

    Path alone = folder.resolve("unconditional");
    try (UNet unet = UNet.random(shape(8, 3, false), Device.cpu(), Rng.of(3))) {
      new ModelFolder(unet, SchedulerConfig.defaults(), "", ModelPrompts.UNKNOWN).write(alone);
    }
    Path free = folder.resolve("free");
    finetune(free, false, () -> false, "model=" + alone, "epochs=1", "prompts.per_epoch=1");
    assertTrue(Files.exists(free.resolve("report.html")));
    assertMessage("the model takes no prompts", "model=" + alone, "sampling.guidance=2");
    Path latents = folder.resolve("latents");
    try (UNet unet = UNet.random(shape(8, 4, true), Device.cpu(), Rng.of(3))) {
      new ModelFolder(unet, SchedulerConfig.defaults(), ENCODER.identity(), ModelPrompts.UNKNOWN)
          .write(latents);
    }
    assertMessage("it takes 4 channels", "model=" + latents);
    Path silent = folder.resolve("silent");
    try (UNet unet = UNet.random(shape(8, 3, true), Device.cpu(), Rng.of(3))) {
      new ModelFolder(unet, SchedulerConfig.defaults(), "", ModelPrompts.UNKNOWN).write(silent);
    }
    assertMessage("does not say which text encoder", "model=" + silent);
  }

  private static UNetConfig shape(int size, int channels, boolean conditional) {
    String kind = conditional ? "CrossAttn" : "";
    return UNetConfig.parse(
        String.format(
            Locale.ROOT,
            """
            {"_class_name": "%s", "sample_size": %d, "in_channels": %d, "out_channels": %d,
             "down_block_types": ["%sDownBlock2D"], "up_block_types": ["%sUpBlock2D"],
             "block_out_channels": [4], "layers_per_block": 1, "norm_num_groups": 2,
             "attention_head_dim": 2%s}
            """,
            conditional ? "UNet2DConditionModel" : "UNet2DModel",
            size,
            channels,
            channels,
            kind,
            kind,
            conditional
                ? ", \"cross_attention_dim\": 8,"
                    + " \"mid_block_type\": \"UNetMidBlock2DCrossAttn\""
                : ""));
  }

  @Test
  void anotherTextEncoderIsRefused() throws IOException {
    Path model = folder.resolve("model");
    try (UNet unet = UNet.load(shared.resolve("model/unet"), Device.cpu())) {
      new ModelFolder(unet, SchedulerConfig.defaults(), "another", ModelPrompts.UNKNOWN)
          .write(model);
    }
    assertMessage("trained with the text encoder 'another'", "model=" + model);
  }

  private void assertMessage(String part, String... settings) {
    Path run = folder.resolve("run" + System.nanoTime());
    ReverieException error =
        assertThrows(ReverieException.class, () -> finetune(run, false, () -> false, settings));
    assertTrue(error.getMessage().contains(part), error::getMessage);
    assertTrue(error.getMessage().contains("\nhint: "), error::getMessage);
    assertFalse(Files.exists(run), "what cannot work leaves no folder behind");
  }

  private static List<Double> rewards(Path run) {
    return Metrics.read(run).stream().map(line -> line.values().get("reward_mean")).toList();
  }

  private static void finetune(
      Path path, boolean resume, BooleanSupplier stop, String... settings) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "model=" + shared.resolve("model"),
                "epochs=2",
                "prompts.per_epoch=2",
                "prompts.images_each=2",
                "sampling.steps=2",
                "sampling.batch_size=3",
                "update.batch_size=3",
                "evaluation.samples=6",
                "evaluation.every_samples=3",
                "evaluation.every=1"));
    all.addAll(List.of(settings));
    Configuration<FinetuneConfig> config = FinetuneConfig.READER.read(null, null, all);
    try (Finetuning finetuning = new Finetuning(config.value(), ENCODER, Device.cpu());
        RunFolder run =
            resume
                ? RunFolder.resume(path, config, NOWHERE)
                : RunFolder.create(path, config, List.of("test"), NOWHERE)) {
      finetuning.run(run, stop);
    }
  }
}
