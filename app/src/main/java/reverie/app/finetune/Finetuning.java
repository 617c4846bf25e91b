// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import java.util.stream.Stream;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.Estimate;
import reverie.app.data.Images;
import reverie.app.data.Retrieval;
import reverie.app.data.SilkIcons;
import reverie.app.evaluate.Evaluation;
import reverie.app.model.BaseModels;
import reverie.app.model.ImageSampler;
import reverie.app.model.ModelFolder;
import reverie.app.report.EvaluationPoint;
import reverie.app.report.Gallery;
import reverie.app.report.PngGrid;
import reverie.app.report.RunReport;
import reverie.app.report.Summary;
import reverie.app.run.Interruption;
import reverie.app.run.Metrics;
import reverie.app.run.Progress;
import reverie.app.run.RunFolder;
import reverie.app.text.PromptEncoder;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.rl.learn.EpochReport;
import reverie.rl.learn.Trainer;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.Scope;

/**
 * Fine-tunes a model by reward and shows what came of it: measures before, trains epoch by epoch
 * with a checkpoint after each, measures on the way and after, and writes model, images, summary
 * and report. A run that was interrupted goes on from its checkpoint and ends with the same bits.
 */
public final class Finetuning implements AutoCloseable {
  /** The finished model's folder in the run folder. */
  public static final String MODEL = "model";

  private static final String CHECKPOINT = "checkpoint.safetensors";
  private static final String SECONDS = "run_seconds";
  private static final String DEVIATION = "ratio_self_test_deviation";
  private static final int SHOWN = 24;
  private static final int SCALE = 5;

  private final FinetuneConfig config;
  private final Device device;
  private final long started = System.nanoTime();
  private final Scope scope = Scope.open("fine-tuning");
  private final List<AutoCloseable> parts = new ArrayList<>();
  private final Work work;
  private RunFolder run;
  private BooleanSupplier stop;

  /** What the summary needs from earlier epochs; it lies in the checkpoint. */
  private final Map<String, Double> notes = new LinkedHashMap<>();

  /**
   * Reads and makes everything that a run needs, so that what cannot work is said before there is a
   * folder.
   *
   * @param config the settings
   * @param encoder for the prompts
   * @param device where to compute
   */
  public Finetuning(FinetuneConfig config, PromptEncoder encoder, Device device) {
    this.config = config;
    this.device = device;
    try {
      work = prepare(encoder);
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** What every phase needs. */
  private record Work(
      FinetuneModel model,
      Trainer trainer,
      Watch watch,
      Evaluation evaluation,
      List<Prompt> training,
      List<Prompt> heldOut) {

    Parameters average() {
      return trainer.average().orElse(null);
    }

    Denoiser denoiser() {
      return model.denoiser(average());
    }
  }

  /** Both measurements of one model; of held-out prompts only where there are some. */
  private record Measured(Evaluation.Result training, Evaluation.Result heldOut) {
    Scores scores() {
      return new Scores(
          training.rewards(),
          heldOut == null ? new double[0] : heldOut.rewards(),
          training.firstWords());
    }
  }

  private Work prepare(PromptEncoder encoder) {
    ModelFolder folder = BaseModels.read(config.model(), encoder, device);
    FinetuneModel model = opened(new FinetuneModel(folder, config, encoder, device));
    boolean icons = folder.prompts().icons();
    requireIcons(icons);
    PromptSource prompts = prompts(folder);
    Reward reward = opened(config.reward().make());
    reward.start();
    Watch watch = opened(Watch.of(config));
    watch.rewards().forEach(Reward::start);
    Trainer trainer = opened(TrainerFactory.of(config, model, prompts, reward, watch));
    trainer.identify(model.identity());
    boolean own =
        List.of(FinetuneConfig.MODEL, FinetuneConfig.ICONS).contains(config.prompts().source());
    Evaluation evaluation =
        new Evaluation(
            model.sampler(),
            device,
            reward,
            config.training().rewardTimeout(),
            icons && own ? new Retrieval(SilkIcons.all()) : null,
            config.seed());
    List<Prompt> heldOut =
        own ? folder.prompts().heldOut().stream().map(Prompt::new).toList() : List.of();
    return new Work(model, trainer, watch, evaluation, prompts.all(), heldOut);
  }

  private <T extends AutoCloseable> T opened(T part) {
    parts.add(part);
    return part;
  }

  /** What compares with the icons means nothing for another model. */
  private void requireIcons(boolean icons) {
    if (icons) {
      return;
    }
    Stream.concat(Stream.of(config.reward()), config.watch().stream())
        .filter(choice -> choice.kind().needsIcons())
        .findFirst()
        .ifPresent(choice -> {
          throw new ConfigurationException(
              choice.title()
                  + " compares with the icons that Reverie ships, but the model draws others",
              "choose another reward, or a model of the icons");
        });
  }

  private PromptSource prompts(ModelFolder folder) {
    FinetuneConfig.Prompts prompts = config.prompts();
    return switch (prompts.source()) {
      case FinetuneConfig.MODEL -> {
        if (!folder.isConditional()) {
          yield PromptSource.of("");
        }
        if (folder.prompts().training().isEmpty()) {
          throw new ConfigurationException(
              "prompts.source is 'model', but this model does not say which prompts it was trained"
                  + " with",
              "name a text file with a prompt a line: --set prompts.source=FILE");
        }
        yield PromptSource.of(folder.prompts().training());
      }
      case FinetuneConfig.ICONS -> PromptSource.of(SilkIcons.training().prompts());
      case "template" -> PromptSource.template(prompts.template(), prompts.slots());
      default -> PromptSource.fromFile(Path.of(prompts.source()));
    };
  }

  /** A prompt that the model knows, for suggestions; empty for a model that takes none. */
  public String example() {
    return work.training.getFirst().text();
  }

  /**
   * Does everything that is not done yet.
   *
   * @param folder where everything goes
   * @param asked whether to stop; asked after every epoch
   * @return the folder of the model
   * @throws Interruption.Stopped if asked to stop
   */
  public Path run(RunFolder folder, BooleanSupplier asked) {
    run = folder;
    stop = asked;
    run.computesOn(device.describe());
    Path checkpoint = run.resolve(CHECKPOINT);
    if (Files.exists(checkpoint)) {
      notes.putAll(work.trainer.resume(checkpoint));
      if (work.trainer.epochs() >= config.epochs() && isFinished()) {
        run.log().say("this run is finished; its report: " + run.path().resolve(RunReport.FILE));
        return run.path().resolve(MODEL);
      }
      run.log().say("going on after epoch " + work.trainer.epochs());
    } else {
      run.requireNoLostCheckpoint(checkpoint, config.checkpointEvery(), "epoch");
    }
    return go();
  }

  /** The report is written last, from everything else. */
  private boolean isFinished() {
    return Files.exists(run.path().resolve(RunReport.FILE))
        && Files.exists(run.path().resolve(MODEL))
        && Summary.read(run.path()).isPresent();
  }

  private Path go() {
    int done = work.trainer.epochs();
    double secondsBefore = notes.getOrDefault(SECONDS, 0.0);
    RewardUnits.settle(
        run,
        config,
        Stream.concat(Stream.of(work.evaluation.reward()), work.watch.rewards().stream()),
        work.evaluation,
        work.model.baseDenoiser(),
        work.training);
    Measured after;
    try (Metrics metrics = run.metrics(done == 0 ? 0 : done + 1)) {
      if (done == 0) {
        first();
        Measured before = measureAll("the base model", work.model.baseDenoiser());
        keep(before, Gallery.BEFORE);
        before.scores().write(run);
        log(metrics, 0, point(before, 0, 0).toMetrics(), secondsBefore);
        say("base model", before);
      } else if (!hasGalleries(Gallery.BEFORE)) {
        keep(measureAll("the base model again", work.model.baseDenoiser()), Gallery.BEFORE);
      }
      after = train(metrics, secondsBefore);
    }
    if (after == null) {
      after = measureAll("the fine-tuned model", work.denoiser());
    }
    keep(after, Gallery.AFTER);
    say("fine-tuned", after);
    Path model = run.resolve(MODEL);
    work.model.write(model, work.average());
    finish(after, secondsBefore);
    return model;
  }

  /** Draws images as soon as there can be any. */
  private void first() {
    List<Prompt> prompts = Evaluation.choose(work.training, 12, config.seed());
    List<String> texts = prompts.stream().map(Prompt::text).toList();
    ImageSampler sampler = work.evaluation.sampler();
    float[] pixels = sampler.draw(work.model.baseDenoiser(), device, texts, config.seed(), _ -> {});
    var images = Images.fromModel(pixels, sampler.size(), sampler.size());
    List<PngGrid.Cell> cells = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      cells.add(new PngGrid.Cell(texts.get(i), images.get(i)));
    }
    Path file = run.resolve("images/base-model.png");
    PngGrid.of(cells, 6, SCALE).write(file);
    run.log().say("first images of the base model: " + file);
  }

  /** Trains what is left and measures at the end, unless nothing was left. */
  private Measured train(Metrics metrics, double secondsBefore) {
    Measured measured = null;
    int done = work.trainer.epochs();
    try (Progress progress = Progress.start("fine-tuning", "epochs", config.epochs(), done)) {
      while (work.trainer.epochs() < config.epochs()) {
        EpochReport report = work.trainer.epoch();
        int epoch = work.trainer.epochs();
        progress.note(note(report));
        progress.advanceTo(epoch);
        Map<String, Double> values = new LinkedHashMap<>(report.metrics());
        notes.merge(DEVIATION, values.getOrDefault(DEVIATION, 0.0), Math::max);
        values.remove("epoch");
        values.putAll(work.watch.take());
        boolean last = epoch == config.epochs();
        if (last || epoch % config.evaluation().every() == 0) {
          int samples = last ? config.evaluation().samples() : config.evaluation().everySamples();
          measured = measure(work.denoiser(), samples, _ -> {});
          values.putAll(point(measured, epoch, report.klToBase()).toMetrics());
        }
        log(metrics, epoch, values, secondsBefore);
        boolean stopping = stop.getAsBoolean();
        if (stopping || last || epoch % config.checkpointEvery() == 0) {
          metrics.sync();
          notes.put(SECONDS, secondsBefore + seconds());
          work.trainer.save(run.resolve(CHECKPOINT), notes);
        }
        if (stopping && !last) {
          throw new Interruption.Stopped(
              String.format(
                  Locale.ROOT,
                  "stopped after epoch %d; go on with --resume %s",
                  epoch,
                  run.path()));
        }
      }
    }
    return measured;
  }

  private static String note(EpochReport report) {
    return report.rewards().count() > 0
        ? String.format(Locale.ROOT, "reward %.4g", report.rewards().mean())
        : String.format(Locale.ROOT, "loss %.4g", report.loss());
  }

  /** With as many images as the result is measured by. */
  private Measured measureAll(String what, Denoiser denoiser) {
    int samples = config.evaluation().samples();
    int sets = work.heldOut.isEmpty() ? 1 : 2;
    try (Progress progress = Progress.start("drawing with " + what, "images", sets * samples)) {
      return measure(
          denoiser,
          samples,
          drawn -> {
            progress.advanceTo(drawn);
            stopIfAsked();
          });
    }
  }

  private Measured measure(Denoiser denoiser, int samples, IntConsumer progress) {
    Evaluation.Result training = evaluate(denoiser, work.training, samples, progress);
    Evaluation.Result heldOut =
        work.heldOut.isEmpty()
            ? null
            : evaluate(denoiser, work.heldOut, samples, n -> progress.accept(samples + n));
    return new Measured(training, heldOut);
  }

  /** The point of the curve: the same images at every epoch. */
  private EvaluationPoint point(Measured measured, int epoch, double klToBase) {
    return measured.scores().point(epoch, klToBase, config.evaluation().everySamples());
  }

  private Evaluation.Result evaluate(
      Denoiser denoiser, List<Prompt> prompts, int samples, IntConsumer progress) {
    List<Prompt> chosen = Evaluation.choose(prompts, samples, config.seed());
    return work.evaluation.of(denoiser, chosen, progress);
  }

  /** Before the first epoch and after the last nothing is lost by stopping at once. */
  private void stopIfAsked() {
    if (stop.getAsBoolean()) {
      throw new Interruption.Stopped("stopped; go on with --resume " + run.path());
    }
  }

  private void log(Metrics metrics, int epoch, Map<String, Double> values, double secondsBefore) {
    Map<String, Double> all = new LinkedHashMap<>(values);
    all.put(SECONDS, secondsBefore + seconds());
    metrics.log(epoch, all);
  }

  private void keep(Measured measured, String time) {
    Evaluation evaluation = work.evaluation;
    evaluation.gallery("training" + time, measured.training, SHOWN, this::note).write(run);
    if (measured.heldOut != null) {
      evaluation.gallery("heldout" + time, measured.heldOut, SHOWN, this::note).write(run);
    }
  }

  private boolean hasGalleries(String time) {
    return Gallery.isWhole(run.path(), "training" + time)
        && (work.heldOut.isEmpty() || Gallery.isWhole(run.path(), "heldout" + time));
  }

  private String note(double reward) {
    return config.reward().kind().unit().shown(reward);
  }

  private void say(String model, Measured measured) {
    StringBuilder line = new StringBuilder(model).append(": reward ");
    line.append(shown(measured.training.reward()));
    if (measured.heldOut != null) {
      line.append(", on held-out prompts ").append(shown(measured.heldOut.reward()));
    }
    if (measured.training.firstWord().n() > 0) {
      line.append(
          String.format(
              Locale.ROOT, ", recognised %.0f %%", 100 * measured.training.firstWord().mean()));
    }
    run.log().say(line.toString());
  }

  private static String shown(Estimate e) {
    return String.format(Locale.ROOT, "%.4g [%.4g, %.4g]", e.mean(), e.low(), e.high());
  }

  private void finish(Measured measured, double secondsBefore) {
    Scores scoresBefore =
        Scores.read(run.path(), config.evaluation().samples())
            .orElseGet(() -> measureAll("the base model", work.model.baseDenoiser()).scores());
    Scores scoresAfter = measured.scores();
    EvaluationPoint before = scoresBefore.all(0);
    EvaluationPoint after = scoresAfter.all(config.epochs());
    Estimate change = scoresAfter.change(scoresBefore);
    run.log().say("change of the same images: " + shown(change));
    new Summary(
            before.reward(),
            after.reward(),
            before.heldout(),
            after.heldout(),
            before.retrieval(),
            after.retrieval(),
            change,
            scoresAfter.heldOutChange(scoresBefore),
            config.reward().kind().unit().hasNaturalZero(),
            work.trainer.rewardQueries(),
            secondsBefore + seconds(),
            Summary.currentPeakRssMb(),
            notes.getOrDefault(DEVIATION, 0.0))
        .write(run);
    beforeAndAfter();
    String title =
        String.format(
            Locale.ROOT,
            "Fine-tuned by %s for %s",
            config.objective().name(),
            config.reward().title());
    Path report = RunReport.write(run.path(), title);
    run.log().say("report: " + report);
    run.log().say("model: " + run.path().resolve(MODEL));
  }

  /** A grid of images of both models, for those who do not open the report. */
  private void beforeAndAfter() {
    List<PngGrid.Row> rows = new ArrayList<>();
    for (String subject : List.of("training", "heldout")) {
      for (String time : List.of(Gallery.BEFORE, Gallery.AFTER)) {
        Gallery.read(run.path(), subject + time)
            .ifPresent(gallery ->
                rows.add(
                    new PngGrid.Row(
                        (subject.equals("heldout") ? "held out" : subject)
                            + (time.equals(Gallery.BEFORE) ? ", base" : ", tuned"),
                        gallery.items().stream()
                            .limit(8)
                            .map(p -> new PngGrid.Cell(p.prompt(), p.note(), p.image()))
                            .toList())));
      }
    }
    Path file = run.resolve("images/before-after.png");
    new PngGrid(rows, SCALE).write(file);
    run.log().say("before and after: " + file);
  }

  private double seconds() {
    return (System.nanoTime() - started) * 1e-9;
  }

  @Override
  public void close() {
    for (AutoCloseable part : parts.reversed()) {
      try {
        part.close();
      } catch (RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
    scope.close();
  }
}
