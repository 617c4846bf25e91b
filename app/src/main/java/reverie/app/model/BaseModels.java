// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import reverie.app.config.FinetuneConfig;
import reverie.app.data.ImageSize;
import reverie.app.text.PromptEncoder;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.io.TemporaryFolder;
import reverie.unet.ClassLabels;
import reverie.unet.UNetConfig;

/** Finds the model that a command names: a folder, or one that Reverie ships. */
public final class BaseModels {
  private static final List<String> FILES =
      List.of(
          "model_index.json",
          "reverie.json",
          "scheduler/scheduler_config.json",
          "unet/config.json",
          "unet/diffusion_pytorch_model.safetensors");

  /** The names of the models that Reverie ships: a diffusion of icons, a flow, and Nouns. */
  public static final List<String> SHIPPED = List.of(FinetuneConfig.ICONS, "icons-flow", "nouns");

  private BaseModels() {}

  /**
   * Reads a model.
   *
   * @param name a path, or one of {@link #SHIPPED}
   * @param encoder the text encoder that is at hand
   * @param device where the weights go
   * @param weights how they are held: {@code F32}, {@code F16} or {@code BF16}
   * @return the model, whose weights the caller closes
   * @throws ReverieException if it is damaged, or was trained with another encoder
   */
  public static ModelFolder read(String name, PromptEncoder encoder, Device device, DType weights) {
    ModelFolder folder =
        SHIPPED.contains(name)
            ? shipped(name, device, weights)
            : ModelFolder.read(Path.of(name), device, weights);
    try {
      requireLabels(folder);
      requireChannels(folder);
      folder.requireEncoder(folder.encoderOr(encoder));
      return folder;
    } catch (RuntimeException e) {
      folder.close();
      throw e;
    }
  }

  private static void requireLabels(ModelFolder folder) {
    UNetConfig config = folder.unet().config();
    if (config.classLabels() == ClassLabels.NONE || config.takesClasses()) {
      return;
    }
    throw new ReverieException(
        "model: it is conditioned on "
            + (config.classLabels() == ClassLabels.CLASSES
                ? "classes and text at once"
                : "labels of the kind " + config.classLabels().name().toLowerCase(Locale.ROOT)),
        "supported are models of text, of classes (a UNet2DModel with num_class_embeds), and of"
            + " neither; in Java, UNet.forward takes all labels");
  }

  private static void requireChannels(ModelFolder folder) {
    if (folder.pipeline() != null) {
      return;
    }
    int in = folder.unet().config().inChannels();
    int out = folder.unet().config().outChannels();
    if (in != out || in != 1 && in != 3) {
      throw new ReverieException(
          "model: it takes " + in + " channels and gives " + out + ", which are no images",
          in != out
              ? "supported are models that give as many channels as they take: neither learned"
                  + " variances nor further inputs"
              : "supported are models of images with 1 or 3 channels, and Stable Diffusion folders,"
                  + " which have an autoencoder for latents");
    }
  }

  /** The size of what the model was trained to draw: images, or their latents. */
  public static ImageSize size(ModelFolder folder) {
    List<Integer> heightAndWidth = folder.unet().config().sampleSize();
    if (heightAndWidth.isEmpty()
        || heightAndWidth.stream().anyMatch(side -> side < 1 || side > ImageSize.MAX)) {
      throw new ReverieException(
          "model: its sample_size is " + heightAndWidth + ", expected 1 to " + ImageSize.MAX,
          "set sample_size in unet/config.json, or name a size: --size SIZE,"
              + " --set sampling.size=SIZE");
    }
    return new ImageSize(heightAndWidth.getLast(), heightAndWidth.getFirst());
  }

  private static ModelFolder shipped(String name, Device device, DType weights) {
    try (TemporaryFolder copy = TemporaryFolder.create("reverie-" + name)) {
      Path folder = copy.path();
      for (String file : FILES) {
        Path target = folder.resolve(file);
        Files.createDirectories(target.getParent());
        try (InputStream in =
            BaseModels.class.getResourceAsStream("/reverie/app/models/" + name + "/" + file)) {
          if (in == null) {
            throw new ReverieException(
                "model " + name + ": this build of Reverie has no such model (" + file + ")",
                "make one with ./reverie pretrain, then give its folder with --set model=FOLDER");
          }
          Files.copy(in, target);
        }
      }
      return ModelFolder.read(folder, device, weights);
    } catch (IOException e) {
      throw new ReverieException(
          "model "
              + name
              + ": it cannot be copied to the temporary folder ("
              + e.getMessage()
              + ")",
          "free some space there, or name another folder by"
              + " REVERIE_JAVA_OPTS=-Djava.io.tmpdir=FOLDER",
          e);
    }
  }
}
