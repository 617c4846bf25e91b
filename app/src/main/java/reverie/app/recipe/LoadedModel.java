// SPDX-License-Identifier: Apache-2.0
package reverie.app.recipe;

import reverie.app.config.FinetuneConfig;
import reverie.app.text.PromptEncoder;
import reverie.diffusion.Denoiser;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SchedulerConfig;
import reverie.tensor.Device;

/** A model that draws: what {@code sample} and {@code evaluate} need. */
public final class LoadedModel implements AutoCloseable {
  private final ModelFolder folder;
  private final Pictures pictures;

  private LoadedModel(ModelFolder folder, Pictures pictures) {
    this.folder = folder;
    this.pictures = pictures;
  }

  /**
   * Reads a model and sets its sampler up.
   *
   * @param name a folder, or "icons"
   * @param sampling how to draw
   * @param encoder for the prompts
   * @param device where to compute
   * @return the model; close it
   */
  public static LoadedModel read(
      String name, FinetuneConfig.Sampling sampling, PromptEncoder encoder, Device device) {
    ModelFolder folder = BaseModels.read(name, encoder, device);
    ReversePolicy process =
        ReversePolicy.ddim(folder.scheduler(), sampling.steps(), sampling.eta());
    Pictures pictures =
        new Pictures(
            process, encoder, sampling.guidance(), sampling.batchSize(), BaseModels.size(folder));
    return new LoadedModel(folder, pictures);
  }

  /**
   * Draws.
   *
   * @return its sampler
   */
  public Pictures pictures() {
    return pictures;
  }

  /**
   * The network.
   *
   * @return without guidance, which {@link #pictures} adds
   */
  public Denoiser denoiser() {
    return folder.unet()::forward;
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
   * The network with the guidance of its pictures.
   *
   * @param device where it computes; what guidance needs belongs to the open scope
   * @return what {@link #pictures} draws with
   */
  public Denoiser guided(Device device) {
    return pictures.guided(denoiser(), device);
  }

  @Override
  public void close() {
    folder.unet().close();
  }
}
