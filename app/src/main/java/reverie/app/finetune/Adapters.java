// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.model.ModelFolder;
import reverie.autograd.nn.Lora;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.pipeline.StableDiffusion;
import reverie.pipeline.lora.LoraFile;
import reverie.tensor.Rng;

/**
 * The adapters that are trained: on the U-Net, and on a pipeline's text encoder if so asked.
 *
 * @param parts by the names that files have for them
 * @param parameters all of theirs
 */
record Adapters(Map<String, Lora> parts, Parameters parameters) implements AutoCloseable {
  /** Puts adapters on a model as the configuration says. */
  static Adapters of(ModelFolder folder, FinetuneConfig config) {
    FinetuneConfig.Lora options = config.lora();
    Map<String, Parameters> models = folder.parts();
    if (!options.textEncoder().isEmpty() && !models.containsKey(LoraFile.TEXT_ENCODER)) {
      throw new ConfigurationException(
          "lora.text_encoder is "
              + options.textEncoder()
              + ", but the model has no text encoder of its own",
          "leave it empty, or name a Stable Diffusion folder");
    }
    Rng rng = Rng.of(config.seed()).fork("lora");
    Map<String, Lora> parts = new LinkedHashMap<>();
    try {
      parts.put(LoraFile.UNET, on(models.get(LoraFile.UNET), options, options.targets(), rng));
      if (!options.textEncoder().isEmpty()) {
        Parameters text = models.get(LoraFile.TEXT_ENCODER);
        parts.put(LoraFile.TEXT_ENCODER, on(text, options, options.textEncoder(), rng));
      }
    } catch (RuntimeException e) {
      parts.values().forEach(Lora::close);
      throw e;
    }
    return new Adapters(
        parts, Parameters.union(parts.values().stream().map(Lora::parameters).toList()));
  }

  private static Lora on(
      Parameters model, FinetuneConfig.Lora options, List<String> targets, Rng rng) {
    Lora.Size size = new Lora.Size(options.rank(), options.alpha());
    return new Lora(model, size, Lora.targets(model, targets)::contains, rng);
  }

  /** Whether the text encoder has some. */
  boolean trainText() {
    return parts.containsKey(LoraFile.TEXT_ENCODER);
  }

  /**
   * A pipeline's U-Net, given the embeddings of prompts, which go through the text encoder first.
   */
  static Denoiser withText(StableDiffusion pipeline) {
    return (x, timesteps, embeddings) ->
        pipeline.unet().forward(x, timesteps, pipeline.textEncoder().encode(embeddings));
  }

  /**
   * Computes with other values.
   *
   * @param others by the names of {@link #parameters}; null for the model without adapters
   */
  <T> T with(Parameters others, Supplier<T> body) {
    Supplier<T> all = body;
    for (Lora lora : parts.values()) {
      Supplier<T> inner = all;
      all = () -> lora.with(others, inner);
    }
    return all.get();
  }

  @Override
  public void close() {
    parts.values().forEach(Lora::close);
    parameters.close();
  }
}
