// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.ImageSize;
import reverie.app.data.PngImages;
import reverie.app.data.PreferenceFile;
import reverie.app.evaluate.Evaluation;
import reverie.app.evaluate.Preferences;
import reverie.app.model.LoadedModel;
import reverie.app.report.EvaluationPoint;
import reverie.app.report.Summary;
import reverie.app.reward.BuiltInReward;
import reverie.app.run.EventImages;
import reverie.app.run.Interruption;
import reverie.app.run.Metrics;
import reverie.diffusion.SchedulerConfig;
import reverie.diffusion.TimestepGrid;
import reverie.rl.objective.Objective;
import reverie.rl.objective.Objectives;
import reverie.rl.objective.OdeDpo;
import reverie.rl.objective.PreferenceObjective;
import reverie.rl.objective.StepObjective;
import reverie.rl.prompt.Prompt;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.io.Safetensors;

/** Whole runs with a model too small to learn anything. */
class FinetuningTest extends IconRuns {
  /** What docs/runs.md names by its mean or value alone. */
  private static final Pattern STATISTIC =
      Pattern.compile("^(reward|advantage)_(std|min|q25|median|q75|max)$|_(ci95_low|ci95_high|n)$");

  private static final Pattern NUMBER = Pattern.compile("`([a-z][\\w/]+)`");

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
  void everyObjectiveIsOneSetting() throws IOException {
    Set<String> logged = new TreeSet<>(List.of("passes_saved", "watched/NAME_mean"));
    for (Objective objective : Objectives.ALL) {
      List<String> settings = new ArrayList<>();
      settings.add("objective=" + objective.name());
      if (objective instanceof PreferenceObjective) {
        settings.add("preferences=" + preferences());
      }
      if (objective instanceof OdeDpo) {
        settings.add("objective.ode_dpo.steps=2");
      }
      if (objective instanceof StepObjective steps && steps.guards()) {
        settings.add("model=" + flow());
      }
      Path run = folder.resolve(objective.name());
      finetune(run, false, () -> false, settings.toArray(String[]::new));
      assertTrue(Files.exists(run.resolve("report.html")), objective.name());
      Metrics.Line last = Metrics.read(run).getLast();
      assertEquals(2, last.step(), objective.name());
      assertTrue(Double.isFinite(last.values().get("loss")), objective.name());
      assertTrue(last.values().get("kl_to_base") > 0, objective.name());
      logged.addAll(last.values().keySet());
    }
    logged.removeIf(name -> STATISTIC.matcher(name).find());
    assertEquals(logged, documented());
  }

  /** The numbers in the tables of docs/runs.md. */
  private static Set<String> documented() throws IOException {
    Set<String> names = new TreeSet<>();
    Files.readString(Path.of("../docs/runs.md"))
        .lines()
        .filter(line -> line.startsWith("|"))
        .map(line -> line.split("\\|"))
        .map(cells -> cells.length > 3 ? cells[2] : cells[1]) // where a number depends on a setting
        .flatMap(cell -> NUMBER.matcher(cell).results())
        .forEach(match -> names.add(match.group(1)));
    return names;
  }

  /** Flows, their samplers and windows are settings too. */
  @Test
  void aFlowIsDrawnInEveryWay() throws IOException {
    Path model = flow();
    for (String sampling : List.of("ode", "dpm_solver", "cps", "dance_sde")) {
      Path run = folder.resolve(sampling);
      finetune(
          run,
          false,
          () -> false,
          "model=" + model,
          "objective=" + (List.of("ode", "dpm_solver").contains(sampling) ? "nft" : "grpo"),
          "sampling.scheduler=" + sampling,
          "sampling.steps=3");
      assertTrue(Double.isFinite(Metrics.read(run).getLast().values().get("loss")), sampling);
    }
    Path window = folder.resolve("window");
    finetune(
        window,
        false,
        () -> false,
        "model=" + model,
        "objective=grpo",
        "sampling.steps=4",
        "sampling.second_order=true",
        "rollout.window={kind: progressive, width: 1, every: 1}");
    assertTrue(Metrics.read(window).getLast().values().get("passes_saved") > 0);
    assertMessage("the model is a flow", "model=" + model, "sampling.scheduler=ddim");
    assertMessage(
        "leaves nothing to chance",
        "model=" + model,
        "sampling.scheduler=ode",
        "objective=ddpo_is");
    assertMessage("expected a width below", "rollout.window={kind: random, width: 9, every: 1}");
  }

  /** The same network with the scheduler of a flow. */
  private Path flow() throws IOException {
    Path flow = folder.resolve("flow-model");
    if (!Files.exists(flow)) {
      try (Stream<Path> files = Files.walk(shared.resolve("model"))) {
        for (Path file : files.toList()) {
          Files.copy(file, flow.resolve(shared.resolve("model").relativize(file).toString()));
        }
      }
      SchedulerConfig.flow(1)
          .withSpacing(TimestepGrid.Spacing.TRAILING, 0)
          .write(flow.resolve("scheduler"));
    }
    return flow;
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
            2, FinetuneConfig.Scheduler.DDIM, Optional.of(1.0), false, 1, 4, ImageSize.OWN);
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
    Path single = folder.resolve("single");
    finetune(
        single,
        false,
        () -> false,
        "prompts.images_each=1",
        "advantage.baseline=batch",
        "epochs=1");
    assertFalse(Metrics.read(single).getLast().values().containsKey(Watch.WITHIN));
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
    assertMessage("take 9.2 GB", "prompts.per_epoch=3000000", "prompts.images_each=1");
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
            2, FinetuneConfig.Scheduler.DDIM, Optional.of(1.0), false, 1, 3, ImageSize.OWN);
    try (LoadedModel loaded =
        LoadedModel.read(model.toString(), sampling, ENCODER, Device.cpu(), DType.F32)) {
      var reward = BuiltInReward.JPEG_COMPRESSIBILITY.make("smaller");
      var evaluation =
          new Evaluation(loaded.sampler(), Device.cpu(), reward, Duration.ofMinutes(1), null, 1);
      List<Prompt> prompts = loaded.prompts().training().stream().map(Prompt::new).toList();
      return evaluation.of(loaded.denoiser(), Evaluation.choose(prompts, 6, 1), _ -> {}).rewards();
    }
  }

  /** The same prompts and seeds at every evaluation, so that a slider shows what training does. */
  @Test
  void tensorBoardShowsTheImagesOfEveryEvaluation() throws IOException {
    Path run = folder.resolve("run");
    finetune(run, false, () -> false, "optimizer.learning_rate=0.05", "update.warmup=0");
    List<EventImages> grids = EventImages.of(run);
    assertEquals(List.of(0L, 1L, 2L), grids.stream().map(EventImages::step).toList());
    int[] before = pixels(grids.getFirst());
    for (EventImages grid : grids) {
      assertEquals("evaluation/images", grid.tag());
      // Rows for training and held-out prompts, of images of 16 pixels, five times as large.
      assertTrue(grid.image().getWidth() >= 3 * 16 * 5, () -> grid.image().toString());
      assertTrue(grid.image().getHeight() >= 2 * 16 * 5, () -> grid.image().toString());
    }
    assertFalse(Arrays.equals(before, pixels(grids.get(1))));
    BufferedImage drawn = ImageIO.read(run.resolve("images/training-before/000.png").toFile());
    assertTrue(shows(grids.getFirst().image(), PngImages.enlarge(drawn, 5)));
    assertFalse(shows(grids.getLast().image(), PngImages.enlarge(drawn, 5)));
  }

  /** A row of six: with large models each image takes minutes. */
  @Test
  void theFirstImagesAreNoMoreThanThoseOfAnEvaluation() throws IOException {
    Path run = folder.resolve("run");
    assertThrows(
        Interruption.Stopped.class,
        () -> finetune(run, false, () -> Files.exists(run.resolve("images/base-model.png"))));
    BufferedImage first = ImageIO.read(run.resolve("images/base-model.png").toFile());
    assertTrue(first.getHeight() < 2 * 16 * 5, first::toString);
  }

  private static int[] pixels(EventImages grid) {
    BufferedImage image = grid.image();
    return image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
  }

  /** Whether one image is a part of another. */
  private static boolean shows(BufferedImage grid, BufferedImage part) {
    int[] wanted = part.getRGB(0, 0, part.getWidth(), part.getHeight(), null, 0, part.getWidth());
    for (int y = 0; y <= grid.getHeight() - part.getHeight(); y++) {
      for (int x = 0; x <= grid.getWidth() - part.getWidth(); x++) {
        if (grid.getRGB(x, y) == wanted[0]
            && Arrays.equals(
                wanted,
                grid.getRGB(x, y, part.getWidth(), part.getHeight(), null, 0, part.getWidth()))) {
          return true;
        }
      }
    }
    return false;
  }

  @Test
  void everyPointOfTheCurveHasTheSameImages() {
    Path run = folder.resolve("run");
    finetune(
        run,
        false,
        () -> false,
        "optimizer.learning_rate=1e-12",
        "epochs=4",
        "sampling.batch_size=1",
        "evaluation.every=3",
        "checkpoint_every=2");
    List<EvaluationPoint> points =
        Metrics.read(run).stream().map(EvaluationPoint::of).flatMap(Optional::stream).toList();
    // Every third epoch, and the last.
    assertEquals(List.of(0, 3, 4), points.stream().map(EvaluationPoint::epoch).toList());
    assertTrue(points.stream().allMatch(point -> point.reward().n() == 3));
    Summary summary = Summary.read(run).orElseThrow();
    assertEquals(
        Metrics.read(run).stream()
            .mapToDouble(line -> line.values().getOrDefault("ratio_self_test_deviation", 0.0))
            .max()
            .orElseThrow(),
        summary.ratioSelfTestMaxDeviation());
    assertEquals(6, summary.rewardChange().n());
    // The same images of the same model differ by nothing, with certainty.
    assertEquals(0, summary.rewardChange().high() - summary.rewardChange().low(), 1e-9);
  }
}
