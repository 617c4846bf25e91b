// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import java.nio.file.Path;
import reverie.app.config.FinetuneConfig;
import reverie.app.text.PromptEncoder;
import reverie.diffusion.Denoiser;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Tensor;

/** A model that draws: what {@code sample} and {@code evaluate} need. */
public final class LoadedModel implements AutoCloseable {
  private final ModelFolder folder;
  private final ImageSampler sampler;

  private LoadedModel(ModelFolder folder, ImageSampler sampler) {
    this.folder = folder;
    this.sampler = sampler;
  }

  /**
   * As {@link #read(String, FinetuneConfig.Sampling, PromptEncoder, Device, DType)}, in float32.
   */
  public static LoadedModel read(
      String name, FinetuneConfig.Sampling sampling, PromptEncoder encoder, Device device) {
    return read(name, sampling, encoder, device, DType.F32);
  }

  /**
   * Reads a model and sets its sampler up.
   *
   * @param name a folder, or one that Reverie ships
   * @param sampling how to draw
   * @param encoder for the prompts
   * @param device where to compute
   * @param weights how they are held: {@code F32}, {@code F16} or {@code BF16}
   * @return the model; close it
   */
  public static LoadedModel read(
      String name,
      FinetuneConfig.Sampling sampling,
      PromptEncoder encoder,
      Device device,
      DType weights) {
    ModelFolder folder = BaseModels.read(name, encoder, device, weights);
    try {
      return new LoadedModel(folder, ImageSampler.of(folder, sampling, folder.encoderOr(encoder)));
    } catch (RuntimeException e) {
      folder.close();
      throw e;
    }
  }

  /**
   * The same model with adapters added to its weights.
   *
   * @param file of adapters of the U-Net, or of a pipeline's text encoder too
   */
  public LoadedModel adapted(Path file) {
    return new LoadedModel(folder.adapted(file), sampler);
  }

  /**
   * What the model would have drawn for images: the images themselves, or their latents.
   *
   * @param images {@code [n, size, size, 3]} in [−1, 1]
   */
  public Tensor encode(Tensor images) {
    return folder.encode(images);
  }

  /**
   * Draws.
   *
   * @return its sampler
   */
  public ImageSampler sampler() {
    return sampler;
  }

  /** The prompts that it was trained with. */
  public ModelPrompts prompts() {
    return folder.prompts();
  }

  /** Whether it draws what a prompt says; otherwise it takes none. */
  public boolean isConditional() {
    return folder.isConditional();
  }

  /**
   * The network.
   *
   * @return without guidance, which {@link #sampler} adds
   */
  public Denoiser denoiser() {
    return folder.denoiser(folder.unet());
  }

  /**
   * The noise that it was trained with, and what it predicts.
   *
   * @return its scheduler's configuration
   */
  public SchedulerConfig scheduler() {
    return folder.scheduler();
  }

  /**
   * The network with the guidance of its images.
   *
   * @param device where it computes; what guidance needs belongs to the open scope
   * @return what {@link #sampler} draws with
   */
  public Denoiser guided(Device device) {
    return sampler.guided(denoiser(), device);
  }

  @Override
  public void close() {
    folder.close();
  }
}
