// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.IntConsumer;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.Estimate;
import reverie.app.data.PngImages;
import reverie.app.evaluate.Evaluation;
import reverie.app.model.ImageSampler;
import reverie.app.report.EvaluationPoint;
import reverie.app.report.Gallery;
import reverie.app.report.PngGrid;
import reverie.app.run.Progress;
import reverie.app.run.RunFolder;
import reverie.rl.learn.Fleet;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Device;

/**
 * Measures models on the same prompts and seeds, and keeps and shows the images.
 *
 * @param ask may throw to end drawing: before the first epoch and after the last nothing is lost
 */
record Measurements(
    FinetuneConfig config, FinetuneWork work, Device device, RunFolder run, Runnable ask) {
  private static final int FIRST = 12;
  private static final int SHOWN = 24;
  private static final int SCALE = 5;

  /** Both measurements of one model; of held-out prompts only where there are some. */
  record Measured(Evaluation.Result training, Evaluation.Result heldOut) {
    Scores scores() {
      return new Scores(
          training.rewards(),
          heldOut == null ? new double[0] : heldOut.rewards(),
          training.recognised());
    }
  }

  /** Draws images as soon as there can be any: no more than an evaluation has. */
  void first() {
    int count = Math.min(FIRST, config.evaluation().samples());
    List<Prompt> prompts = Evaluation.choose(work.training(), count, config.seed());
    List<String> texts = prompts.stream().map(Prompt::text).toList();
    ImageSampler sampler = work.evaluation().sampler();
    float[] pixels;
    try (Progress progress = Progress.start("first images of the base model", "images", count)) {
      pixels =
          sampler.draw(
              work.model().baseDenoiser(),
              device,
              texts,
              config.seed(),
              drawn -> {
                progress.advanceTo(drawn);
                ask.run();
              });
    }
    var images = PngImages.fromModel(pixels, sampler.size());
    List<PngGrid.Cell> cells = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      cells.add(new PngGrid.Cell(texts.get(i), images.get(i)));
    }
    Path file = run.resolve("images/base-model.png");
    PngGrid.of(cells, 6, scale()).write(file);
    run.log().say("first images of the base model: " + file);
  }

  /** With as many images as the result is measured by. */
  Measured all(String what, Fleet.Under model) {
    int samples = config.evaluation().samples();
    int sets = work.heldOut().isEmpty() ? 1 : 2;
    try (Progress progress = Progress.start("drawing with " + what, "images", sets * samples)) {
      return measure(
          model,
          samples,
          drawn -> {
            progress.advanceTo(drawn);
            ask.run();
          });
    }
  }

  Measured measure(Fleet.Under model, int samples, IntConsumer progress) {
    Evaluation.Result training = evaluate(model, work.training(), samples, progress);
    Evaluation.Result heldOut =
        work.heldOut().isEmpty()
            ? null
            : evaluate(model, work.heldOut(), samples, n -> progress.accept(samples + n));
    return new Measured(training, heldOut);
  }

  /** The point of the curve: the same images at every epoch. */
  EvaluationPoint point(Measured measured, int epoch, double klToBase) {
    return measured.scores().point(epoch, klToBase, config.evaluation().everySamples());
  }

  private Evaluation.Result evaluate(
      Fleet.Under model, List<Prompt> prompts, int samples, IntConsumer progress) {
    return work.measure(model, Evaluation.choose(prompts, samples, config.seed()), progress);
  }

  void keep(Measured measured, String time) {
    gallery("training" + time, measured.training).write(run);
    if (measured.heldOut != null) {
      gallery("heldout" + time, measured.heldOut).write(run);
    }
  }

  private Gallery gallery(String name, Evaluation.Result result) {
    return work.evaluation().gallery(name, result, SHOWN, this::note);
  }

  /** The same prompts and seeds at every point, for TensorBoard. */
  BufferedImage grid(Measured measured) {
    List<PngGrid.Row> rows = new ArrayList<>();
    rows.add(row("training", gallery("training", measured.training)));
    if (measured.heldOut != null) {
      rows.add(row("held out", gallery("heldout", measured.heldOut)));
    }
    return new PngGrid(rows, scale()).toImage();
  }

  private int scale() {
    return PngGrid.scale(work.evaluation().sampler().size(), SCALE);
  }

  private static PngGrid.Row row(String label, Gallery gallery) {
    return new PngGrid.Row(
        label,
        gallery.items().stream()
            .limit(8)
            .map(p -> new PngGrid.Cell(p.prompt(), p.note(), p.image()))
            .toList());
  }

  boolean hasGalleries(String time) {
    return Gallery.isWhole(run.path(), "training" + time)
        && (work.heldOut().isEmpty() || Gallery.isWhole(run.path(), "heldout" + time));
  }

  private String note(double reward) {
    return config.reward().kind().unit().shown(reward);
  }

  void say(String model, Measured measured) {
    StringBuilder line = new StringBuilder(model).append(": reward ");
    line.append(shown(measured.training.reward()));
    if (measured.heldOut != null) {
      line.append(", on held-out prompts ").append(shown(measured.heldOut.reward()));
    }
    measured.training.shares().values().stream()
        .findFirst()
        .ifPresent(share ->
            line.append(String.format(Locale.ROOT, ", recognised %.0f %%", 100 * share.mean())));
    run.log().say(line.toString());
  }

  static String shown(Estimate e) {
    return String.format(Locale.ROOT, "%.4g [%.4g, %.4g]", e.mean(), e.low(), e.high());
  }

  /** A grid of images of both models, for those who do not open the report. */
  void beforeAndAfter() {
    List<PngGrid.Row> rows = new ArrayList<>();
    for (String subject : List.of("training", "heldout")) {
      for (String time : List.of(Gallery.BEFORE, Gallery.AFTER)) {
        Gallery.read(run.path(), subject + time)
            .ifPresent(gallery ->
                rows.add(
                    row(
                        (subject.equals("heldout") ? "held out" : subject)
                            + (time.equals(Gallery.BEFORE) ? ", base" : ", tuned"),
                        gallery)));
      }
    }
    Path file = run.resolve("images/before-after.png");
    new PngGrid(rows, scale()).write(file);
    run.log().say("before and after: " + file);
  }
}
