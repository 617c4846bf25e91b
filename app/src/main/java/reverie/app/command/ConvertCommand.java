// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reverie.app.config.ConfigurationException;
import reverie.app.config.WeightType;
import reverie.app.model.ModelFolder;
import reverie.autograd.nn.Lora;
import reverie.pipeline.StableDiffusion;
import reverie.pipeline.lora.LoraFile;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;

/** Writes a Stable Diffusion folder, or adapters for one, in another form. */
@Command(
    name = "convert",
    description =
        "Write a Stable Diffusion folder with other types or with adapters merged into its weights,"
            + " or write adapters under other names.",
    footer = {
      "",
      "Examples:",
      "  ./reverie convert sd --out sd-half --dtype float16",
      "  ./reverie convert sd --lora pytorch_lora_weights.safetensors --out sd-tuned",
      "  ./reverie convert sd --lora pytorch_lora_weights.safetensors --lora-format kohya"
          + " --out mine.safetensors"
    })
final class ConvertCommand implements Callable<Integer> {
  private final Session session;
  @Mixin private DeviceOption deviceOption;

  @Parameters(
      paramLabel = "FOLDER",
      description =
          "The pipeline, as diffusers writes it, or the model of a run that trained adapters, which"
              + " are merged.")
  private Path folder;

  @Option(
      names = "--out",
      required = true,
      paramLabel = "PATH",
      description = "The folder to write; with --lora-format the file.")
  private Path out;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      converter = WeightTypeConverter.class,
      description =
          "Type of the weights, one of ${COMPLETION-CANDIDATES}. Default: ${DEFAULT-VALUE}")
  private WeightType type = WeightType.FLOAT32;

  @Option(
      names = "--lora",
      paramLabel = "FILE",
      description =
          "Adapters of diffusers, PEFT or kohya's scripts, which are added to the weights.")
  private Path lora;

  @Option(
      names = "--strength",
      paramLabel = "FACTOR",
      description = "What the adapters are multiplied with. Default: ${DEFAULT-VALUE}")
  private double strength = 1;

  @Option(
      names = "--lora-format",
      paramLabel = "NAME",
      description = "Write the adapters alone, under the names of ${COMPLETION-CANDIDATES}.")
  private LoraFile.Format format;

  ConvertCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    if (format != null && lora == null) {
      throw new ConfigurationException(
          "convert: --lora-format says how adapters are written, but there are none",
          "add --lora FILE");
    }
    if (!Double.isFinite(strength)) {
      throw new ConfigurationException(
          "convert: expected a number for --strength, got " + strength,
          "1 leaves them as they are");
    }
    requireOther();
    Device device = deviceOption.open(session);
    try (ModelFolder read = ModelFolder.read(folder, device, DType.F32)) {
      StableDiffusion model = read.pipeline();
      if (model == null) {
        throw new ReverieException(
            "convert: expected a Stable Diffusion folder, got " + folder,
            "other models have one form only");
      }
      if (lora == null) {
        model.save(out, type.dtype());
      } else {
        withAdapters(model);
      }
    }
    session.out().println(out);
    return ExitCode.OK;
  }

  private void withAdapters(StableDiffusion model) {
    Map<String, Lora> adapters = LoraFile.read(lora, model.parts());
    try {
      if (format != null) {
        LoraFile.write(out, adapters, format, type.dtype());
        return;
      }
      adapters.forEach((part, of) -> {
        of.setStrength(strength);
        of.addTo(model.parts().get(part));
      });
    } finally {
      adapters.values().forEach(Lora::close);
    }
    model.save(out, type.dtype());
  }

  /** Weights that are being read must not be written. */
  private void requireOther() {
    try {
      if (Files.exists(out) && Files.isSameFile(folder, out)) {
        throw new ConfigurationException(
            "convert: --out is the folder itself, " + folder, "name another folder");
      }
    } catch (IOException e) {
      throw new ReverieException("convert: " + out + " cannot be read: " + e, "check the path", e);
    }
  }
}
