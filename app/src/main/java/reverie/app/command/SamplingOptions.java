// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.Option;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.config.WeightType;
import reverie.app.data.ImageSize;
import reverie.app.model.LoadedModel;
import reverie.tensor.Device;

/** The options of every command that draws with a finished model. */
final class SamplingOptions {
  @Option(
      names = "--model",
      paramLabel = "FOLDER",
      description =
          "The model, in diffusers' layout, or one that Reverie ships: \"icons\" (default),"
              + " \"icons-flow\" or \"nouns\".")
  String model = FinetuneConfig.ICONS;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Steps of the reverse process. Default: ${DEFAULT-VALUE}")
  int steps = 10;

  @Option(
      names = "--scheduler",
      paramLabel = "NAME",
      description = "${COMPLETION-CANDIDATES}. Default: ${DEFAULT-VALUE}, ddim or flow_sde")
  FinetuneConfig.Scheduler scheduler = FinetuneConfig.Scheduler.AUTO;

  @Option(
      names = "--eta",
      paramLabel = "ETA",
      description =
          "How much chance enters a step, 0 is none. Default: what is usual, 1 for ddim and 0.7 for"
              + " flow_sde")
  Double eta;

  @Option(
      names = "--guidance",
      paramLabel = "SCALE",
      description = "Classifier-free guidance; 1 is off. Default: ${DEFAULT-VALUE}")
  double guidance = 1;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Images in one pass through the model. Default: ${DEFAULT-VALUE}")
  int batch = 64;

  @Option(
      names = "--size",
      paramLabel = "SIZE",
      converter = ImageSizeConverter.class,
      description =
          "Side of an image, or width and height (768x512), multiples of 8 for Stable Diffusion; 0"
              + " is the model's own size. Default: ${DEFAULT-VALUE}")
  private ImageSize size = ImageSize.OWN;

  @Option(
      names = "--weights",
      paramLabel = "TYPE",
      converter = WeightTypeConverter.class,
      description =
          "What weights are held in: ${COMPLETION-CANDIDATES}; half of the memory for the last two."
              + " Default: ${DEFAULT-VALUE}")
  private WeightType weights = WeightType.FLOAT32;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "The same seed and prompt give the same images. Default: ${DEFAULT-VALUE}")
  long seed = 1;

  @Option(
      names = "--lora",
      paramLabel = "FILE",
      description = "Adapters of diffusers or kohya's scripts to add to the model's weights.")
  private Path lora;

  /** The model with its adapters; close it. */
  LoadedModel open(Session session, Device device) {
    LoadedModel loaded =
        LoadedModel.read(model, sampling(), session.encoder(), device, weights.dtype());
    try {
      return lora == null ? loaded : loaded.adapted(lora);
    } catch (RuntimeException e) {
      loaded.close();
      throw e;
    }
  }

  /** What they ask for, checked: commands call this before they look at anything else. */
  FinetuneConfig.Sampling sampling() {
    require("--steps", steps, 1, 1000);
    require("--eta", eta == null ? 0 : eta, 0, 1);
    require("--guidance", guidance, 0, 100);
    require("--batch", batch, 1, 100_000);
    return new FinetuneConfig.Sampling(
        steps, scheduler, Optional.ofNullable(eta), false, guidance, batch, size);
  }

  static void require(String option, double value, int from, int to) {
    if (!(value >= from && value <= to)) {
      throw new ConfigurationException(
          String.format(
              Locale.ROOT,
              "%s %s: expected from %d to %d",
              option,
              value == Math.rint(value) && Math.abs(value) < 1e15
                  ? Long.toString((long) value)
                  : Double.toString(value),
              from,
              to),
          String.format(Locale.ROOT, "for example %s %d", option, Math.max(from, 1)));
    }
  }
}
