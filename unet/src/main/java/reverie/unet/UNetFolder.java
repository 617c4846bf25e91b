// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import reverie.autograd.nn.StateDict;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.io.WeightFiles;

/** A model's folder as diffusers writes it. */
final class UNetFolder {
  private static final String CONFIG = "config.json";
  private static final String WEIGHTS = "diffusion_pytorch_model";
  private static final String SUBFOLDER = "unet";

  /** Written where the configuration came from none: the version whose behaviour is followed. */
  private static final String DIFFUSERS_VERSION = "0.17.1";

  private UNetFolder() {}

  static UNet load(Path folder, Device device, DType weights) {
    Path at = Files.exists(folder.resolve(CONFIG)) ? folder : folder.resolve(SUBFOLDER);
    if (!Files.isRegularFile(at.resolve(CONFIG))) {
      throw new ReverieException(
          "unet: expected a folder with "
              + CONFIG
              + " and "
              + WEIGHTS
              + ".safetensors, got "
              + folder
              + (Files.isDirectory(folder) ? "" : ", which is no folder"),
          "give a model's folder, or a pipeline's with the model in " + SUBFOLDER + "/");
    }
    UNetConfig config = UNetConfig.read(at.resolve(CONFIG));
    return StateDict.build(
        p -> new UNet(config, p),
        WeightFiles.find(at, WEIGHTS),
        AttentionBlock::currentName,
        device,
        weights);
  }

  static void save(UNet model, Path folder) {
    try {
      Files.createDirectories(folder);
      StateDict.save(
          model.parameters(), folder.resolve(WEIGHTS + ".safetensors"), Map.of("format", "pt"));
      Files.writeString(folder.resolve(CONFIG), model.config().toJson(DIFFUSERS_VERSION));
    } catch (IOException e) {
      throw new ReverieException(
          "unet: " + folder + " cannot be written: " + e, "check permissions and free space", e);
    }
  }
}
