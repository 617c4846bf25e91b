// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Stream;
import reverie.app.data.DataSet;
import reverie.app.files.AtomicFile;
import reverie.app.files.JsonFile;
import reverie.diffusion.SchedulerConfig;
import reverie.pipeline.PipelineFolder;
import reverie.pipeline.StableDiffusion;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.unet.UNet;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Finds out what kind of model a folder has, and reads it. */
final class ModelReader {
  private static final Logger LOG = Logger.getLogger(ModelReader.class.getName());

  private static final String WEIGHTS = "diffusion_pytorch_model";

  private ModelReader() {}

  /** Reads a model, which is none of those whose adapters belong to it. */
  static ModelFolder read(Path folder, Device device, DType weights, Set<Path> adapted) {
    if (!AdapterFolder.isOne(folder)) {
      return readWhole(folder, device, weights);
    }
    AdapterFolder adapters = AdapterFolder.read(folder);
    adapted.add(folder.toAbsolutePath().normalize());
    if (adapted.contains(adapters.base().toAbsolutePath().normalize())) {
      throw new ReverieException(
          "model: the adapters in " + folder + " are said to belong to themselves",
          "name the model that they belong to as 'base' in its reverie.json");
    }
    adapters.requireBase();
    ModelFolder model = read(adapters.base(), device, weights, adapted);
    try {
      return model.adapted(adapters.adapters());
    } catch (RuntimeException e) {
      model.close();
      throw e;
    }
  }

  /** Whether a folder has a configuration and weights, of whatever type. */
  static boolean hasWeights(Path unet) {
    if (!Files.isRegularFile(unet.resolve(ModelFolder.CONFIG))) {
      return false;
    }
    try (Stream<Path> files = Files.list(unet)) {
      return files.anyMatch(file -> file.getFileName().toString().startsWith(WEIGHTS));
    } catch (IOException e) {
      throw AtomicFile.readFailure(unet, e);
    }
  }

  private static ModelFolder readWhole(Path folder, Device device, DType weights) {
    if (!Files.exists(folder)) {
      throw new ReverieException(
          "model: '" + folder + "' does not exist",
          "check the path; it is relative to where you are");
    }
    boolean unet = Files.isDirectory(folder.resolve(ModelFolder.UNET));
    boolean alone = !unet && Files.exists(folder.resolve(ModelFolder.CONFIG));
    if (PipelineFolder.hasMoreParts(folder)
        || !unet && !alone && Files.exists(folder.resolve(ModelFolder.INDEX))) {
      return of(StableDiffusion.load(folder, device, weights));
    }
    if (alone) {
      // An unconditional model as diffusers saves it alone: everything at the top.
      Path scheduler = folder.resolve(ModelFolder.SCHEDULER);
      return read(
          folder, folder, Files.isDirectory(scheduler) ? scheduler : folder, device, weights);
    }
    if (!unet) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "model: '%s' is no model folder, it has no folder '%s'",
              folder,
              ModelFolder.UNET),
          "give a folder with unet/ and scheduler/, as reverie pretrain and diffusers write them");
    }
    return read(
        folder,
        folder.resolve(ModelFolder.UNET),
        folder.resolve(ModelFolder.SCHEDULER),
        device,
        weights);
  }

  private static ModelFolder read(
      Path folder, Path unet, Path scheduler, Device device, DType weights) {
    SchedulerConfig schedule = SchedulerConfig.read(scheduler);
    JsonNode ours = ours(folder.resolve(ModelFolder.OURS));
    ModelPrompts prompts =
        DataSet.named(ours.path(ModelFolder.DATA).asString(""))
            .map(ModelPrompts::of)
            .orElseGet(() -> ModelPrompts.read(folder));
    String encoder = ours.path(ModelFolder.ENCODER).asString("");
    UNet network = UNet.load(unet, device, weights);
    if (network.config().takesClasses() && prompts.equals(ModelPrompts.UNKNOWN)) {
      prompts = ModelPrompts.ofClasses(network.config().classInputs());
    }
    return new ModelFolder(network, schedule, encoder, prompts);
  }

  private static ModelFolder of(StableDiffusion pipeline) {
    pipeline.folder().notes().forEach(note -> LOG.log(Level.WARNING, "{0}", note));
    return new ModelFolder(
        pipeline.unet(),
        pipeline.scheduler(),
        "",
        ModelPrompts.read(pipeline.folder().path()),
        pipeline,
        List.of());
  }

  private static JsonNode ours(Path file) {
    if (!Files.exists(file)) {
      return JsonMapper.shared().createObjectNode();
    }
    JsonNode ours = JsonFile.readObject(file, "the file is not complete");
    if (!ours.path(ModelFolder.ENCODER).isString()) {
      throw new ReverieException(
          "model: '" + file + "' has no text '" + ModelFolder.ENCODER + "'",
          "the file is not complete");
    }
    return ours;
  }
}
