// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import reverie.app.config.Configuration;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.Estimate;
import reverie.app.model.ModelFolder;
import reverie.app.report.EvaluationPoint;
import reverie.app.report.Gallery;
import reverie.app.report.RunReport;
import reverie.app.report.Summary;
import reverie.app.run.Interruption;
import reverie.app.run.Metrics;
import reverie.app.run.Progress;
import reverie.app.run.RunFolder;
import reverie.app.text.PromptEncoder;
import reverie.rl.learn.EpochReport;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.LocalFleet;
import reverie.tensor.Device;

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
  private static final String BEFORE = "scores_before";
  private static final String GRID = "evaluation/images";
  private static final String DEVIATION = "ratio_self_test_deviation";

  private final FinetuneConfig config;
  private final Device device;
  private final long started = System.nanoTime();
  private final FinetuneWork work;
  private RunFolder run;
  private BooleanSupplier stop;
  private Measurements measurements;

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
    work = new FinetuneWork(config, (_, job) -> new LocalFleet(job), encoder, device);
  }

  /**
   * The same on the machines of a cluster, as far as these draw, score, differentiate and measure;
   * the rest is done here.
   */
  public Finetuning(
      Configuration<FinetuneConfig> configuration,
      Cluster cluster,
      PromptEncoder encoder,
      Device device) {
    config = configuration.value();
    this.device = device;
    work =
        new FinetuneWork(
            config,
            (model, job) -> cluster.fleet(job, configuration.yaml(), model.identity()),
            encoder,
            device);
  }

  /** A prompt that the model knows, for suggestions; empty for a model that takes none. */
  public String example() {
    return work.training().getFirst().text();
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
    measurements = new Measurements(config, work, device, run, this::stopIfAsked);
    run.computesOn(device.describe());
    work.trainer().identify(units());
    Path checkpoint = run.resolve(CHECKPOINT);
    if (Files.exists(checkpoint)) {
      notes.putAll(work.trainer().resume(checkpoint));
      if (work.trainer().epochs() >= config.epochs() && isFinished()) {
        run.log().say("this run is finished; its report: " + run.path().resolve(RunReport.FILE));
        return run.path().resolve(MODEL);
      }
      run.log().say("going on after epoch " + work.trainer().epochs());
    } else {
      run.requireNoLostCheckpoint(checkpoint, config.checkpointEvery(), "epoch");
    }
    return go();
  }

  private Map<String, String> units() {
    return RewardUnits.settle(
        run,
        config,
        Stream.concat(Stream.of(work.evaluation().reward()), work.watch().rewards().stream()),
        work.evaluation(),
        work.model().baseDenoiser(),
        work.training());
  }

  /** The report is written last, from everything else. */
  private boolean isFinished() {
    return Files.exists(run.path().resolve(RunReport.FILE))
        && ModelFolder.hasWeights(run.path().resolve(MODEL))
        && Summary.read(run.path()).isPresent();
  }

  private Path go() {
    int done = work.trainer().epochs();
    double secondsBefore = notes.getOrDefault(SECONDS, 0.0);
    Measurements.Measured after;
    try (Metrics metrics = run.metrics(done == 0 ? 0 : done + 1)) {
      if (done == 0) {
        measurements.first();
        Measurements.Measured before = measurements.all("the base model", Fleet.Under.REFERENCE);
        measurements.keep(before, Gallery.BEFORE);
        before.scores().write(run);
        notes.put(BEFORE, before.scores().checksum());
        log(metrics, 0, measurements.point(before, 0, 0).toMetrics(), secondsBefore);
        metrics.image(0, GRID, measurements.grid(before));
        measurements.say("base model", before);
      } else if (!measurements.hasGalleries(Gallery.BEFORE)) {
        measurements.keep(
            measurements.all("the base model again", Fleet.Under.REFERENCE), Gallery.BEFORE);
      }
      after = train(metrics, secondsBefore);
    }
    if (after == null) {
      after = measurements.all("the fine-tuned model", Fleet.Under.CURRENT);
    }
    measurements.keep(after, Gallery.AFTER);
    measurements.say("fine-tuned", after);
    Path model = run.resolve(MODEL);
    work.model().write(model, work.average());
    finish(after, secondsBefore);
    return model;
  }

  /** Trains what is left and measures at the end, unless nothing was left. */
  private Measurements.Measured train(Metrics metrics, double secondsBefore) {
    Measurements.Measured measured = null;
    int done = work.trainer().epochs();
    try (Progress progress = Progress.start("fine-tuning", "epochs", config.epochs(), done)) {
      while (work.trainer().epochs() < config.epochs()) {
        EpochReport report = work.trainer().epoch();
        int epoch = work.trainer().epochs();
        progress.note(note(report));
        progress.advanceTo(epoch);
        Map<String, Double> values = new LinkedHashMap<>(report.metrics());
        notes.merge(DEVIATION, values.getOrDefault(DEVIATION, 0.0), Math::max);
        values.remove("epoch");
        values.putAll(work.watch().take());
        boolean last = epoch == config.epochs();
        if (last || epoch % config.evaluation().every() == 0) {
          int samples = last ? config.evaluation().samples() : config.evaluation().everySamples();
          measured = measurements.measure(Fleet.Under.CURRENT, samples, _ -> {});
          values.putAll(measurements.point(measured, epoch, report.klToBase()).toMetrics());
          metrics.image(epoch, GRID, measurements.grid(measured));
        }
        log(metrics, epoch, values, secondsBefore);
        boolean stopping = stop.getAsBoolean();
        if (stopping || last || epoch % config.checkpointEvery() == 0) {
          metrics.sync();
          notes.put(SECONDS, secondsBefore + seconds());
          work.trainer().save(run.resolve(CHECKPOINT), notes);
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

  private void log(Metrics metrics, int epoch, Map<String, Double> values, double secondsBefore) {
    Map<String, Double> all = new LinkedHashMap<>(values);
    all.put(SECONDS, secondsBefore + seconds());
    metrics.log(epoch, all);
  }

  private void finish(Measurements.Measured measured, double secondsBefore) {
    Scores scoresBefore =
        Scores.read(run.path(), config.evaluation().samples())
            .filter(scores -> notes.getOrDefault(BEFORE, Double.NaN) == scores.checksum())
            .orElseGet(() -> measurements.all("the base model", Fleet.Under.REFERENCE).scores());
    Scores scoresAfter = measured.scores();
    EvaluationPoint before = scoresBefore.all(0);
    EvaluationPoint after = scoresAfter.all(config.epochs());
    Estimate change = scoresAfter.change(scoresBefore);
    run.log().say("change of the same images: " + Measurements.shown(change));
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
            work.trainer().rewardQueries(),
            secondsBefore + seconds(),
            Summary.currentPeakRssMb(),
            notes.getOrDefault(DEVIATION, 0.0))
        .write(run);
    measurements.beforeAndAfter();
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

  private double seconds() {
    return (System.nanoTime() - started) * 1e-9;
  }

  /** Before the first epoch and after the last nothing is lost by stopping at once. */
  private void stopIfAsked() {
    if (stop.getAsBoolean()) {
      throw new Interruption.Stopped("stopped; go on with --resume " + run.path());
    }
  }

  @Override
  public void close() {
    work.close();
  }
}
