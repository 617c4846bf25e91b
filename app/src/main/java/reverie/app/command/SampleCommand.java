// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import reverie.app.config.ConfigurationException;
import reverie.app.data.ImageSize;
import reverie.app.data.PngImages;
import reverie.app.files.AtomicFile;
import reverie.app.model.LoadedModel;
import reverie.app.report.PngGrid;
import reverie.app.run.Environment;
import reverie.app.run.Progress;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Device;

/** Draws images. */
@Command(
    name = "sample",
    description = "Draw images for prompts.",
    footer = {
      "",
      "Examples:",
      "  ./reverie sample --prompt 'camera add' --prompt 'chart pie error'",
      "  ./reverie sample --model runs/quickstart-20260131-120000/model --prompts my.txt --images 8"
    })
final class SampleCommand implements Callable<Integer> {
  private final Session session;
  @Mixin private SamplingOptions options;
  @Mixin private DeviceOption deviceOption;

  @Option(names = "--prompt", paramLabel = "TEXT", description = "What to draw; may be repeated.")
  private List<String> texts = new ArrayList<>();

  @Option(
      names = "--prompts",
      paramLabel = "FILE",
      description = "A text file with a prompt a line.")
  private Path file;

  @Option(
      names = "--images",
      paramLabel = "N",
      description = "Images of each prompt. Default: ${DEFAULT-VALUE}")
  private int images = 4;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      description = "The grid of all images. Default: ${DEFAULT-VALUE}")
  private Path out = Path.of("sample.png");

  @Option(
      names = "--scale",
      paramLabel = "N",
      description =
          "Pixels of the grid for a pixel of an image. Default: 6, and 1 from 128 pixels on")
  private Integer scale;

  SampleCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    options.sampling();
    SamplingOptions.require("--images", images, 1, 10_000);
    SamplingOptions.require("--scale", scale == null ? 1 : scale, 1, 100);
    List<String> prompts = new ArrayList<>(texts);
    if (file != null) {
      PromptSource.fromFile(file).all().stream().map(Prompt::text).forEach(prompts::add);
    }
    AtomicFile.prepare(out);
    Device device = deviceOption.open(session);
    try (LoadedModel model = options.open(session, device)) {
      draw(model, prompts, device);
    }
    session.out().println(out);
    return ExitCode.OK;
  }

  private void draw(LoadedModel model, List<String> prompts, Device device) {
    requireFit(model, prompts);
    ImageSize size = model.sampler().size();
    int pixels = scale != null ? scale : PngGrid.scale(size, 6);
    int columns = columns(prompts.size());
    PngGrid.requireRoom((long) prompts.size() * images, columns, pixels, size);
    List<String> repeated =
        prompts.stream().flatMap(p -> Collections.nCopies(images, p).stream()).toList();
    try (Progress progress = Progress.start("drawing", "images", repeated.size())) {
      float[] values =
          model
              .sampler()
              .draw(model.denoiser(), device, repeated, options.seed, progress::advanceTo);
      List<BufferedImage> drawn = PngImages.fromModel(values, size);
      List<PngGrid.Cell> cells = new ArrayList<>();
      for (int i = 0; i < drawn.size(); i++) {
        cells.add(new PngGrid.Cell(repeated.get(i), drawn.get(i)));
      }
      BufferedImage grid = PngGrid.of(cells, columns, pixels).toImage();
      AtomicFile.write(out, PngImages.png(grid, origin(device)));
    }
  }

  /** What the same images can be drawn again by: other kernels give other bits. */
  private Map<String, String> origin(Device device) {
    Map<String, String> texts = new LinkedHashMap<>();
    texts.put("Software", "reverie " + Environment.current().reverie());
    texts.put("Command", String.join(" ", session.command()));
    texts.put("Device", device.describe());
    return texts;
  }

  /** A model without prompts is given the empty one; another needs some. */
  private static void requireFit(LoadedModel model, List<String> prompts) {
    if (!model.isConditional()) {
      if (!prompts.isEmpty()) {
        throw new ConfigurationException(
            "sample: prompts were given, but the model takes none", "leave them out");
      }
      prompts.add("");
    } else if (prompts.isEmpty()) {
      List<String> known = model.prompts().training();
      throw new ConfigurationException(
          "sample: no prompt was given",
          "add --prompt "
              + (known.isEmpty() ? "TEXT" : Session.quoted(known.getFirst()))
              + ", or --prompts FILE");
    }
  }

  /** A row a prompt, or a square of one prompt's images. */
  private int columns(int prompts) {
    return prompts == 1 ? Math.min(images, 8) : Math.min(images, 16);
  }
}
