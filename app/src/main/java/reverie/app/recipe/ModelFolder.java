// SPDX-License-Identifier: Apache-2.0
package reverie.app.recipe;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import reverie.app.run.AtomicFile;
import reverie.app.text.PromptEncoder;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.unet.UNet;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A text-to-image model on the disk, in diffusers' layout: {@code unet/} and {@code scheduler/}
 * open there as they are; {@code reverie.json} says which text encoder the prompts must go through.
 *
 * @param unet the network
 * @param scheduler its noise
 * @param encoder identity of its text encoder; empty where the folder does not say
 */
public record ModelFolder(UNet unet, SchedulerConfig scheduler, String encoder) {
  private static final String UNET = "unet";
  private static final String SCHEDULER = "scheduler";
  private static final String INDEX = "model_index.json";
  private static final String OURS = "reverie.json";
  private static final String ENCODER = "text_encoder";
  private static final JsonMapper JSON = JsonMapper.shared();

  /**
   * Reads a model.
   *
   * @param folder that {@link #write} or diffusers wrote
   * @param device where the weights go
   * @return the model, whose parameters the caller closes
   * @throws ReverieException saying which file is missing or wrong
   */
  public static ModelFolder read(Path folder, Device device) {
    if (!Files.isDirectory(folder.resolve(UNET))) {
      throw new ReverieException(
          String.format(
              Locale.ROOT, "model: '%s' is no model folder, it has no folder '%s'", folder, UNET),
          "give a folder with unet/ and scheduler/, as reverie pretrain and diffusers write them");
    }
    SchedulerConfig scheduler = SchedulerConfig.read(folder.resolve(SCHEDULER));
    String encoder = encoder(folder.resolve(OURS));
    return new ModelFolder(UNet.load(folder.resolve(UNET), device), scheduler, encoder);
  }

  /**
   * Writes the model; a folder that is there already is replaced file by file.
   *
   * @param folder made if missing
   */
  public void write(Path folder) {
    unet.save(folder.resolve(UNET));
    scheduler.write(folder.resolve(SCHEDULER));
    Map<String, Object> index = new LinkedHashMap<>();
    index.put("_class_name", "ReveriePipeline");
    index.put(UNET, List.of("diffusers", "UNet2DConditionModel"));
    index.put(SCHEDULER, List.of("diffusers", "DDIMScheduler"));
    writeJson(folder.resolve(INDEX), index);
    writeJson(folder.resolve(OURS), Map.of(ENCODER, encoder));
  }

  /**
   * Checks that prompts will mean to the model what they meant when it was trained.
   *
   * @param available the encoder that would be used
   * @throws ReverieException if the model was trained with another
   */
  public void requireEncoder(PromptEncoder available) {
    if (!encoder.isEmpty() && !encoder.equals(available.identity())) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "model: it was trained with the text encoder '%s', but this is '%s'",
              encoder,
              available.identity()),
          "use the version of Reverie that trained it, or train it again");
    }
  }

  private static String encoder(Path file) {
    if (!Files.exists(file)) {
      return "";
    }
    try {
      JsonNode encoder = JSON.readTree(Files.readAllBytes(file)).path(ENCODER);
      if (encoder.isString()) {
        return encoder.stringValue();
      }
      throw new ReverieException(
          String.format(Locale.ROOT, "model: '%s' has no text '%s'", file, ENCODER),
          "the file is not complete");
    } catch (JacksonException e) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "model: '%s' is not JSON: %s",
              file,
              e.getOriginalMessage().replaceFirst(" starting at \\[Source: .*", ")")),
          "the file is not complete",
          e);
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
  }

  private static void writeJson(Path file, Map<String, Object> value) {
    AtomicFile.writeText(
        file, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(value) + "\n");
  }
}
