// SPDX-License-Identifier: Apache-2.0
package reverie.app.recipe;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.text.PromptEncoder;
import reverie.app.text.PromptStates;
import reverie.autograd.nn.Lora;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Guidance;
import reverie.diffusion.ReversePolicy;
import reverie.rl.Policy;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;
import reverie.unet.UNet;

/**
 * The model that is fine-tuned beside the one it began as: all of its weights, with a frozen copy
 * as the base, or adapters, without which it is the base.
 */
final class FinetuneModel implements AutoCloseable {
  private final ModelFolder folder;
  private final UNet base;
  private final Lora lora;
  private final ReversePolicy process;
  private final PromptEncoder encoder;
  private final double guidance;
  private final Tensor unconditional;

  /** Takes over the model; what it makes belongs to the open scope. */
  FinetuneModel(ModelFolder folder, FinetuneConfig config, PromptEncoder encoder, Device device) {
    this.folder = folder;
    this.encoder = encoder;
    guidance = config.sampling().guidance();
    process =
        ReversePolicy.ddim(folder.scheduler(), config.sampling().steps(), config.sampling().eta());
    FinetuneConfig.Lora options = config.lora();
    if (options.rank() > 0 && config.ema().decay() > 0) {
      throw new ConfigurationException(
          String.format(
              Locale.ROOT,
              "lora.rank is %d and ema.decay is %s: adapters are not averaged",
              options.rank(),
              config.ema().decay()),
          "set one of the two to 0");
    }
    lora =
        options.rank() == 0
            ? null
            : new Lora(
                folder.unet().parameters(),
                new Lora.Size(options.rank(), options.alpha()),
                Lora::isAttentionProjection,
                Rng.of(config.seed()).fork("lora"));
    base = lora == null ? folder.unet().frozenCopy() : null;
    unconditional = guidance == 1 ? null : PromptStates.of(device, encoder, List.of(""));
  }

  /** What is trained. */
  Parameters parameters() {
    return lora == null ? folder.unet().parameters() : lora.parameters();
  }

  /** The model as the trainer sees it. */
  Policy policy() {
    return new Policy(
        process,
        folder.scheduler().prediction(),
        guided(folder.unet()::forward),
        guided(baseDenoiser()),
        parameters(),
        prompts ->
            PromptStates.of(
                parameters().device(), encoder, prompts.stream().map(Prompt::text).toList()),
        size(),
        size(),
        3);
  }

  /** How pictures are drawn for people and for measurements; the guidance is theirs. */
  Pictures pictures(int batchSize) {
    return new Pictures(process, encoder, guidance, batchSize, size());
  }

  /** The model as it began, without guidance. */
  Denoiser baseDenoiser() {
    return lora == null
        ? base::forward
        : (x, timesteps, context) ->
            lora.without(() -> folder.unet().forward(x, timesteps, context));
  }

  /** The model as it is now, without guidance; with the averaged weights where there are some. */
  Denoiser denoiser(Parameters average) {
    return average == null
        ? folder.unet()::forward
        : new UNet(folder.unet().config(), average)::forward;
  }

  /** Writes the model as it is now, adapters added to its weights. */
  void write(Path target, Parameters average) {
    try (UNet copy = folder.unet().copy()) {
      if (lora != null) {
        lora.addTo(copy.parameters());
      } else if (average != null) {
        copy.parameters().copyFrom(average);
      }
      new ModelFolder(copy, folder.scheduler(), folder.encoder()).write(target);
    }
  }

  private Denoiser guided(Denoiser denoiser) {
    return guidance == 1
        ? denoiser
        : new Guidance(Denoiser.branching(denoiser), guidance, unconditional);
  }

  private int size() {
    return BaseModels.size(folder);
  }

  @Override
  public void close() {
    if (lora != null) {
      lora.close();
    }
    if (base != null) {
      base.close();
    }
    folder.unet().close();
  }
}
