// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.config.WeightType;
import reverie.app.model.AdapterFolder;
import reverie.app.model.ImageSampler;
import reverie.app.model.ModelFolder;
import reverie.app.text.PromptEncoder;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Guidance;
import reverie.pipeline.lora.LoraFile;
import reverie.rl.Policy;
import reverie.rl.preference.PreferenceDataset;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Device;
import reverie.tensor.Tensor;
import reverie.unet.UNet;

/**
 * The model that is fine-tuned beside the one it began as: all of its weights, with a frozen copy
 * as the base, or adapters, without which it is the base.
 */
final class FinetuneModel implements AutoCloseable {
  private final ModelFolder folder;
  private final Map<String, String> identity;
  private final Path path;
  private final UNet frozen;
  private final Adapters adapters;

  /** The model with what was learnt, and what it is conditioned on. */
  private final Denoiser current;

  private final ImageSampler sampler;
  private final double guidance;
  private final Tensor unconditional;

  /** Takes over the model; what it makes belongs to the open scope. */
  FinetuneModel(ModelFolder folder, FinetuneConfig config, PromptEncoder encoder, Device device) {
    this.folder = folder;
    try {
      if (folder.pipeline() == null && config.weights() != WeightType.FLOAT32) {
        throw new ConfigurationException(
            "weights is "
                + config.weights()
                + ", but adapters are added to the weights of this model when it is written, and the sum"
                + " would be rounded",
            "set weights=float32; only Stable Diffusion's adapters are written alone");
      }
      path = Path.of(config.model());
      identity = identity(folder);
      guidance = config.sampling().guidance();
      adapters = config.lora().rank() == 0 ? null : Adapters.of(folder, config);
      boolean text = adapters != null && adapters.trainText();
      sampler =
          ImageSampler.of(
              folder, config.sampling(), text ? folder.embeddings() : folder.encoderOr(encoder));
      current = text ? Adapters.withText(folder.pipeline()) : folder.denoiser(folder.unet());
      frozen = adapters == null ? folder.unet().frozenCopy() : null;
      unconditional = guidance == 1 ? null : sampler.contexts(device, List.of(""));
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** What is trained. */
  Parameters parameters() {
    return adapters == null ? folder.unet().parameters() : adapters.parameters();
  }

  /** What else the rest of a run depends on: weights and noise of the base model. */
  Map<String, String> identity() {
    return identity;
  }

  private static Map<String, String> identity(ModelFolder folder) {
    Map<String, String> identity = new LinkedHashMap<>();
    identity.put("base_weights", folder.weightsDigest());
    identity.put("scheduler", folder.scheduler().toString());
    return identity;
  }

  /** The model as the trainer sees it. */
  Policy policy() {
    return new Policy(
        sampler.policy(),
        folder.scheduler().prediction(),
        guided(current),
        guided(baseDenoiser()),
        parameters(),
        prompts ->
            sampler.contexts(parameters().device(), prompts.stream().map(Prompt::text).toList()),
        sampler::colours,
        sampler.drawn().height(),
        sampler.drawn().width(),
        folder.unet().config().inChannels());
  }

  /** Preferences between images as ones between what the model draws. */
  PreferenceDataset drawn(PreferenceDataset images) {
    return folder.drawsColours()
        ? images
        : new EncodedPreferences(images, folder, sampler.size(), parameters().device());
  }

  /** How images are drawn for people and for measurements; the guidance is theirs. */
  ImageSampler sampler() {
    return sampler;
  }

  /** The model as it began, without guidance. */
  Denoiser baseDenoiser() {
    return adapters == null
        ? folder.denoiser(frozen)
        : (x, timesteps, context) ->
            adapters.with(null, () -> current.predict(x, timesteps, context));
  }

  /** The model as it is now, without guidance. */
  Denoiser denoiser() {
    return current;
  }

  /** What this gives while what is trained has other values; null for its own. */
  <T> T during(Parameters others, Supplier<T> body) {
    if (others == null) {
      return body.get();
    }
    try (Parameters own = parameters().copy()) {
      parameters().copyFrom(others);
      try {
        return body.get();
      } finally {
        parameters().copyFrom(own);
      }
    }
  }

  /**
   * Writes the model as it is now: of a pipeline with adapters these alone, under the names of
   * diffusers and of kohya's scripts; else the whole, adapters added to its weights.
   */
  void write(Path target, Parameters average) {
    if (adapters == null) {
      writeWhole(target, average);
      return;
    }
    adapters.with(
        average == null ? adapters.parameters() : average,
        () -> {
          if (folder.pipeline() == null) {
            writeWhole(target, null);
          } else {
            AdapterFolder.of(target, path).write(adapters.parts());
          }
          return null;
        });
  }

  private void writeWhole(Path target, Parameters average) {
    try (UNet copy = folder.unet().copy()) {
      if (adapters != null) {
        adapters.parts().get(LoraFile.UNET).addTo(copy.parameters());
      } else if (average != null) {
        copy.parameters().copyFrom(average);
      }
      folder.with(copy).write(target);
    }
  }

  private Denoiser guided(Denoiser denoiser) {
    return guidance == 1
        ? denoiser
        : new Guidance(Denoiser.branching(denoiser), guidance, unconditional);
  }

  @Override
  public void close() {
    if (adapters != null) {
      adapters.close();
    }
    if (frozen != null) {
      frozen.close();
    }
    folder.close();
  }
}
