// SPDX-License-Identifier: Apache-2.0
package reverie.app.recipe;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.Estimate;
import reverie.app.data.Images;
import reverie.app.data.Retrieval;
import reverie.app.data.SilkIcons;
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
import reverie.rl.reward.ProcessReward;
import reverie.rl.reward.Reward;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;

/**
 * Fine-tunes a model by reward and shows what came of it: measures before, trains epoch by epoch
 * with a checkpoint after each, measures on the way and after, and writes model, pictures, summary
 * and report. A run that was interrupted goes on from its checkpoint and ends with the same bits.
 */
public final class Finetuning {
  /** The finished model's folder in the run folder. */
  public static final String MODEL = "model";

  private static final String CHECKPOINT = "checkpoint.safetensors";
  private static final String SECONDS = "run_seconds";
  private static final String DEVIATION = "ratio_self_test_deviation";
  private static final int SHOWN = 24;
  private static final int SCALE = 5;

  private final FinetuneConfig config;
  private final RunFolder run;
  private final PromptEncoder encoder;
  private final Device device;
  private final BooleanSupplier stop;
  private final long started = System.nanoTime();

  /** What the summary needs from earlier epochs; it lies in the checkpoint. */
  private final Map<String, Double> notes = new LinkedHashMap<>();

  /**
   * Prepares a run.
   *
   * @param config the settings
   * @param run where everything goes
   * @param encoder for the prompts
   * @param device where to compute
   * @param stop asked after every epoch; true ends the run after a checkpoint
   */
  public Finetuning(
      FinetuneConfig config,
      RunFolder run,
      PromptEncoder encoder,
      Device device,
      BooleanSupplier stop) {
    this.config = config;
    this.run = run;
    this.encoder = encoder;
    this.device = device;
    this.stop = stop;
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

  /** Both measurements of one model. */
  private record Measured(Evaluation.Result training, Evaluation.Result heldOut) {
    EvaluationPoint at(int epoch, double klToBase) {
      Estimate unseen = heldOut == null ? Evaluation.NOTHING : heldOut.reward();
      return new EvaluationPoint(epoch, training.reward(), unseen, training.firstWord(), klToBase);
    }
  }

  /**
   * Does everything that is not done yet.
   *
   * @return the folder of the model
   * @throws Interruption.Stopped if asked to stop
   */
  public Path run() {
    run.computesOn(device.describe());
    if (isFinished()) {
      run.log().say("this run is finished; its report: " + run.path().resolve(RunReport.FILE));
      return run.path().resolve(MODEL);
    }
    boolean icons = config.prompts().source().equals(FinetuneConfig.ICONS);
    PromptSource prompts = FinetuneParts.prompts(config.prompts());
    Reward reward = Rewards.of(config.reward());
    ModelFolder folder = BaseModels.read(config.model(), encoder, device);
    try (Scope _ = Scope.open("fine-tuning");
        FinetuneModel model = new FinetuneModel(folder, config, encoder, device);
        Watch watch = Watch.of(config);
        Trainer trainer = FinetuneParts.trainer(config, model.policy(), prompts, reward, watch)) {
      Path checkpoint = run.resolve(CHECKPOINT);
      if (Files.exists(checkpoint)) {
        notes.putAll(trainer.resume(checkpoint));
        run.log().say("going on after epoch " + trainer.epochs());
      } else {
        requireNoLostCheckpoint(checkpoint);
      }
      Evaluation evaluation =
          new Evaluation(
              model.pictures(config.sampling().batchSize()),
              device,
              reward,
              Duration.ofMillis(Math.round(1000 * config.reward().timeoutSeconds())),
              icons ? new Retrieval(SilkIcons.all()) : null,
              config.seed());
      List<Prompt> heldOut =
          icons ? SilkIcons.heldOut().prompts().stream().map(Prompt::new).toList() : List.of();
      return go(new Work(model, trainer, watch, evaluation, prompts.all(), heldOut));
    } finally {
      if (reward instanceof ProcessReward program) {
        program.close();
      }
    }
  }

  /** The report is written last, from everything else. */
  private boolean isFinished() {
    return Files.exists(run.path().resolve(RunReport.FILE))
        && Files.exists(run.path().resolve(MODEL))
        && Summary.read(run.path()).isPresent();
  }

  /** Epochs that were measured and are not in a checkpoint would be lost without a word. */
  private void requireNoLostCheckpoint(Path checkpoint) {
    List<Metrics.Line> lines = Metrics.read(run.path());
    if (lines.isEmpty()) {
      return;
    }
    if (lines.getLast().step() > config.checkpointEvery()) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "resume %s: %s is missing, though the run came to epoch %d",
              run.path(),
              checkpoint.getFileName(),
              lines.getLast().step()),
          "put it back, or start a new run with another --out");
    }
    run.log().say("there is no checkpoint yet: starting from the beginning");
  }

  private Path go(Work work) {
    int done = work.trainer.epochs();
    double secondsBefore = notes.getOrDefault(SECONDS, 0.0);
    Measured after;
    try (Metrics metrics = run.metrics(done == 0 ? 0 : done + 1)) {
      if (done == 0) {
        first(work);
        Measured before = measureAll(work, "the base model", work.model.baseDenoiser());
        keep(before, Gallery.BEFORE, work.evaluation);
        notes.putAll(before.at(0, 0).toMetrics());
        log(metrics, 0, before.at(0, 0).toMetrics(), secondsBefore);
        say("base model", before);
      } else if (!hasGalleries(work, Gallery.BEFORE)) {
        keep(
            measureAll(work, "the base model again", work.model.baseDenoiser()),
            Gallery.BEFORE,
            work.evaluation);
      }
      after = train(work, metrics, secondsBefore);
    }
    if (after == null) {
      after = measureAll(work, "the fine-tuned model", work.denoiser());
    }
    keep(after, Gallery.AFTER, work.evaluation);
    say("fine-tuned", after);
    Path model = run.resolve(MODEL);
    work.model.write(model, work.average());
    finish(work, after, secondsBefore);
    return model;
  }

  /** A picture as soon as there can be one. */
  private void first(Work work) {
    List<Prompt> prompts = Evaluation.choose(work.training, 12, config.seed());
    List<String> texts = prompts.stream().map(Prompt::text).toList();
    Pictures pictures = work.evaluation.pictures();
    float[] pixels =
        pictures.draw(work.model.baseDenoiser(), device, texts, config.seed(), _ -> {});
    var images = Images.fromModel(pixels, pictures.size(), pictures.size());
    List<PngGrid.Cell> cells = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      cells.add(new PngGrid.Cell(texts.get(i), images.get(i)));
    }
    Path file = run.resolve("images/base-model.png");
    PngGrid.of(cells, 6, SCALE).write(file);
    run.log().say("first pictures of the base model: " + file);
  }

  /** Trains what is left and measures at the end, unless nothing was left. */
  private Measured train(Work work, Metrics metrics, double secondsBefore) {
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
          measured = measure(work, work.denoiser(), samples, _ -> {});
          values.putAll(measured.at(epoch, report.klToBase()).toMetrics());
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

  /** With as many pictures as the result is told by. */
  private Measured measureAll(Work work, String what, Denoiser denoiser) {
    int samples = config.evaluation().samples();
    int sets = work.heldOut.isEmpty() ? 1 : 2;
    try (Progress progress = Progress.start("drawing with " + what, "images", sets * samples)) {
      return measure(
          work,
          denoiser,
          samples,
          drawn -> {
            progress.advanceTo(drawn);
            stopIfAsked();
          });
    }
  }

  private Measured measure(Work work, Denoiser denoiser, int samples, IntConsumer progress) {
    Evaluation.Result training = evaluate(work, denoiser, work.training, samples, progress);
    Evaluation.Result heldOut =
        work.heldOut.isEmpty()
            ? null
            : evaluate(work, denoiser, work.heldOut, samples, n -> progress.accept(samples + n));
    return new Measured(training, heldOut);
  }

  private Evaluation.Result evaluate(
      Work work, Denoiser denoiser, List<Prompt> prompts, int samples, IntConsumer progress) {
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

  private void keep(Measured measured, String time, Evaluation evaluation) {
    evaluation.gallery("training" + time, measured.training, SHOWN, this::note).write(run);
    if (measured.heldOut != null) {
      evaluation.gallery("heldout" + time, measured.heldOut, SHOWN, this::note).write(run);
    }
  }

  private boolean hasGalleries(Work work, String time) {
    return Gallery.isWhole(run.path(), "training" + time)
        && (work.heldOut.isEmpty() || Gallery.isWhole(run.path(), "heldout" + time));
  }

  private String note(double reward) {
    return switch (config.reward().name()) {
      case JPEG_COMPRESSIBILITY -> Math.round(-reward) + " bytes";
      case JPEG_INCOMPRESSIBILITY -> Math.round(reward) + " bytes";
      case COLOURFULNESS, RECOGNISED, COMMAND -> String.format(Locale.ROOT, "%.4g", reward);
    };
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

  private void finish(Work work, Measured after, double secondsBefore) {
    EvaluationPoint before = EvaluationPoint.of(new Metrics.Line(0, notes)).orElseThrow();
    EvaluationPoint now = after.at(config.epochs(), 0);
    new Summary(
            before.reward(),
            now.reward(),
            before.heldout(),
            now.heldout(),
            before.retrieval(),
            now.retrieval(),
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
            config.objective().name().toLowerCase(Locale.ROOT),
            config.reward().name().name().toLowerCase(Locale.ROOT));
    Path report = RunReport.write(run.path(), title);
    run.log().say("report: " + report);
    run.log().say("model: " + run.path().resolve(MODEL));
  }

  /** One picture of both models, for those who do not open the report. */
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
                        gallery.pictures().stream()
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
}
