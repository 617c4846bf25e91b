// SPDX-License-Identifier: Apache-2.0
package reverie.app.pretrain;

import java.awt.image.BufferedImage;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import reverie.app.config.PretrainConfig;
import reverie.app.data.ImageSet;
import reverie.app.data.PngImages;
import reverie.app.data.Recognition;
import reverie.app.model.ImageSampler;
import reverie.app.report.PngGrid;
import reverie.app.run.Progress;
import reverie.app.run.RunFolder;
import reverie.diffusion.Denoiser;
import reverie.tensor.Device;
import reverie.tensor.Rng;

/**
 * Shows and measures what a model in training draws: galleries beside the real images, and
 * retrieval at the end.
 */
final class PretrainingResults {
  private static final int GALLERY_COLUMNS = 12;
  private static final int SCALE = 5;

  private final PretrainConfig config;
  private final RunFolder run;
  private final ImageSampler sampler;
  private final Device device;
  private final Recognition recognition;
  private final ImageSet training;
  private final ImageSet heldOut;

  PretrainingResults(
      PretrainConfig config,
      RunFolder run,
      ImageSampler sampler,
      Device device,
      Recognition recognition,
      ImageSet training,
      ImageSet heldOut) {
    this.config = config;
    this.run = run;
    this.sampler = sampler;
    this.device = device;
    this.recognition = recognition;
    this.training = training;
    this.heldOut = heldOut;
  }

  /** Draws some training and held-out prompts below their real images, and keeps the grid. */
  BufferedImage gallery(Denoiser model, long steps) {
    List<PngGrid.Row> rows = new ArrayList<>();
    rows.addAll(rows("training", training, model));
    rows.addAll(rows("held out", heldOut, model));
    PngGrid grid = new PngGrid(rows, PngGrid.scale(sampler.size(), SCALE));
    grid.write(run.resolve(String.format(Locale.ROOT, "samples/step-%06d.png", steps)));
    return grid.toImage();
  }

  /** Draws many, counts right words and writes {@code summary.json}. */
  void finish(Denoiser model) {
    gallery(model, config.steps());
    Map<String, Object> summary = new LinkedHashMap<>();
    summary.put("steps", config.steps());
    measure("training", training, model, summary);
    measure("heldout", heldOut, model, summary);
    run.writeJson("summary.json", summary);
  }

  private void measure(String name, ImageSet set, Denoiser model, Map<String, Object> summary) {
    if (set.size() == 0 || config.evaluationSamples() == 0) {
      return;
    }
    List<String> prompts =
        choose(set, config.evaluationSamples()).stream().map(ImageSet.Item::prompt).toList();
    float[] images;
    try (Progress progress = Progress.start("drawing " + name, "images", prompts.size())) {
      images = sampler.draw(model, device, prompts, config.seed(), progress::advanceTo);
    }
    StringBuilder line = new StringBuilder(name + ": recognised in " + prompts.size() + " images:");
    recognition
        .shares(recognition.of(images, prompts))
        .forEach((part, share) -> {
          summary.put("retrieval_" + part + "_" + name, share.toMap());
          line.append(String.format(Locale.ROOT, " %s %.3f", part, share.mean()));
        });
    run.log().say(line.toString());
  }

  private List<PngGrid.Row> rows(String label, ImageSet set, Denoiser model) {
    if (set.size() == 0) {
      return List.of();
    }
    List<ImageSet.Item> items = choose(set, GALLERY_COLUMNS);
    List<String> prompts = items.stream().map(ImageSet.Item::prompt).toList();
    float[] drawn = sampler.draw(model, device, prompts, config.seed(), _ -> {});
    List<BufferedImage> images = PngImages.fromModel(drawn, set.height(), set.width());
    List<PngGrid.Cell> above = new ArrayList<>();
    List<PngGrid.Cell> below = new ArrayList<>();
    for (int i = 0; i < items.size(); i++) {
      above.add(
          new PngGrid.Cell(
              "",
              PngImages.fromModel(items.get(i).pixels(), set.height(), set.width()).getFirst()));
      below.add(new PngGrid.Cell(prompts.get(i), images.get(i)));
    }
    return List.of(
        new PngGrid.Row(label + ", real", above), new PngGrid.Row(label + ", drawn", below));
  }

  /** The same n of a set every time, each once before any comes twice. */
  private List<ImageSet.Item> choose(ImageSet set, int n) {
    IntUnaryOperator order = Rng.of(config.seed()).fork("choice").order(set.size());
    return IntStream.range(0, n)
        .mapToObj(i -> set.items().get(order.applyAsInt(i % set.size())))
        .toList();
  }
}
