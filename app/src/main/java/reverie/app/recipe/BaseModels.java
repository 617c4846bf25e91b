// SPDX-License-Identifier: Apache-2.0
package reverie.app.recipe;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import reverie.app.config.FinetuneConfig;
import reverie.app.text.PromptEncoder;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;

/** Finds the model that a command names: a folder, or "icons" for the one that Reverie ships. */
public final class BaseModels {
  private static final List<String> FILES =
      List.of(
          "model_index.json",
          "reverie.json",
          "scheduler/scheduler_config.json",
          "unet/config.json",
          "unet/diffusion_pytorch_model.safetensors");

  private BaseModels() {}

  /**
   * Reads a model.
   *
   * @param name a path, or "icons"
   * @param encoder the text encoder that is at hand
   * @param device where the weights go
   * @return the model, whose weights the caller closes
   * @throws ReverieException if it is damaged, or was trained with another encoder
   */
  public static ModelFolder read(String name, PromptEncoder encoder, Device device) {
    ModelFolder folder = ModelFolder.read(find(name), device);
    try {
      folder.requireEncoder(encoder);
      size(folder);
      return folder;
    } catch (RuntimeException e) {
      folder.unet().close();
      throw e;
    }
  }

  /** Rows and columns of the model's pictures. */
  static int size(ModelFolder folder) {
    List<Integer> size = folder.unet().config().sampleSize();
    if (size.isEmpty() || !size.getFirst().equals(size.getLast())) {
      throw new ReverieException(
          "model: expected square pictures of a known size, but sample_size is " + size,
          "set sample_size in unet/config.json");
    }
    return size.getFirst();
  }

  /**
   * The folder of a model.
   *
   * @param name a path, or "icons"
   * @return a folder in diffusers' layout; for the shipped model a copy that may be thrown away
   */
  public static Path find(String name) {
    if (!name.equals(FinetuneConfig.ICONS)) {
      return Path.of(name);
    }
    try {
      Path folder = Files.createTempDirectory("reverie-icons");
      folder.toFile().deleteOnExit();
      for (String file : FILES) {
        Path target = folder.resolve(file);
        Files.createDirectories(target.getParent());
        try (InputStream in =
            BaseModels.class.getResourceAsStream("/reverie/app/models/icons/" + file)) {
          if (in == null) {
            throw new ReverieException(
                "model icons: this build of Reverie has no base model (" + file + ")",
                "make one with ./reverie pretrain, then give its folder with --set model=FOLDER");
          }
          Files.copy(in, target);
        }
        target.toFile().deleteOnExit();
      }
      return folder;
    } catch (IOException e) {
      throw new ReverieException(
          "model icons: it cannot be copied to the temporary folder (" + e.getMessage() + ")",
          "free some space there, or name another folder by JAVA_TOOL_OPTIONS=-Djava.io.tmpdir=FOLDER",
          e);
    }
  }
}
