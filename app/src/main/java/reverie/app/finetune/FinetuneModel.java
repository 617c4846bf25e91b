// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import reverie.app.config.FinetuneConfig;
import reverie.app.model.BaseModels;
import reverie.app.model.ImageSampler;
import reverie.app.model.ModelFolder;
import reverie.app.text.PromptEncoder;
import reverie.autograd.nn.Lora;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.diffusion.Guidance;
import reverie.pipeline.lora.LoraFile;
import reverie.rl.Policy;
import reverie.rl.prompt.Prompt;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;
import reverie.unet.UNet;

/**
 * The model that is fine-tuned beside the one it began as: all of its weights, with a frozen copy
 * as the base, or adapters, without which it is the base.
 */
final class FinetuneModel implements AutoCloseable {
  private static final String KOHYA = "kohya_lora_weights.safetensors";

  private final ModelFolder folder;
  private final Map<String, String> identity;
  private final UNet base;
  private final Lora lora;
  private final ImageSampler sampler;
  private final double guidance;
  private final Tensor unconditional;

  /** Takes over the model; what it makes belongs to the open scope. */
  FinetuneModel(ModelFolder folder, FinetuneConfig config, PromptEncoder encoder, Device device) {
    this.folder = folder;
    identity = identity(folder, device);
    guidance = config.sampling().guidance();
    sampler = ImageSampler.of(folder, config.sampling(), folder.encoderOr(encoder));
    FinetuneConfig.Lora options = config.lora();
    lora =
        options.rank() == 0
            ? null
            : new Lora(
                folder.unet().parameters(),
                new Lora.Size(options.rank(), options.alpha()),
                Lora::isAttentionProjection,
                Rng.of(config.seed()).fork("lora"));
    base = lora == null ? folder.unet().frozenCopy() : null;
    unconditional = guidance == 1 ? null : sampler.contexts(device, List.of(""));
  }

  /** What is trained. */
  Parameters parameters() {
    return lora == null ? folder.unet().parameters() : lora.parameters();
  }

  /**
   * What else the rest of a run depends on: weights and noise of the base model, and the kernels.
   */
  Map<String, String> identity() {
    return identity;
  }

  private static Map<String, String> identity(ModelFolder folder, Device device) {
    MessageDigest digest = sha256();
    folder
        .unet()
        .parameters()
        .all()
        .forEach(p -> {
          digest.update(p.name().getBytes(StandardCharsets.UTF_8));
          ByteBuffer bytes =
              ByteBuffer.allocate(Math.toIntExact(Math.min(p.value().size(), 1 << 20)) * 4);
          for (float value : p.value().toFloats()) {
            if (!bytes.hasRemaining()) {
              digest.update(bytes.flip());
              bytes.clear();
            }
            bytes.putFloat(value);
          }
          digest.update(bytes.flip());
        });
    Map<String, String> identity = new LinkedHashMap<>();
    identity.put("base_weights", "sha256 " + HexFormat.of().formatHex(digest.digest()));
    identity.put("scheduler", folder.scheduler().toString());
    // The number of threads changes no bits.
    identity.put("kernels", device.describe().replaceFirst(", \\d+ threads?", ""));
    return identity;
  }

  /** The model as the trainer sees it. */
  Policy policy() {
    return new Policy(
        sampler.policy(),
        folder.scheduler().prediction(),
        guided(folder.unet()::forward),
        guided(baseDenoiser()),
        parameters(),
        prompts ->
            sampler.contexts(parameters().device(), prompts.stream().map(Prompt::text).toList()),
        sampler::colours,
        size(),
        size(),
        folder.unet().config().inChannels());
  }

  /** How pictures are drawn for people and for measurements; the guidance is theirs. */
  ImageSampler sampler() {
    return sampler;
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
    if (average == null) {
      return folder.unet()::forward;
    }
    return lora == null
        ? new UNet(folder.unet().config(), average)::forward
        : (x, timesteps, context) ->
            lora.with(average, () -> folder.unet().forward(x, timesteps, context));
  }

  /**
   * Writes the model as it is now: of a pipeline with adapters these alone, under the names of
   * diffusers and of kohya's scripts; else the whole, adapters added to its weights.
   */
  void write(Path target, Parameters average) {
    if (lora == null) {
      writeWhole(target, average);
      return;
    }
    lora.with(
        average == null ? lora.parameters() : average,
        () -> {
          if (folder.pipeline() == null) {
            writeWhole(target, null);
          } else {
            writeAdapters(target);
          }
          return null;
        });
  }

  private void writeAdapters(Path target) {
    Map<String, Lora> parts = Map.of(LoraFile.UNET, lora);
    try {
      Files.createDirectories(target);
    } catch (IOException e) {
      throw new ReverieException(
          "model: " + target + " cannot be written: " + e, "check permissions and free space", e);
    }
    LoraFile.write(target.resolve(LoraFile.NAME), parts, LoraFile.Format.DIFFUSERS, DType.F32);
    LoraFile.write(target.resolve(KOHYA), parts, LoraFile.Format.KOHYA, DType.F32);
  }

  private void writeWhole(Path target, Parameters average) {
    try (UNet copy = folder.unet().copy()) {
      if (lora != null) {
        lora.addTo(copy.parameters());
      } else if (average != null) {
        copy.parameters().copyFrom(average);
      }
      new ModelFolder(
              copy, folder.scheduler(), folder.encoder(), folder.prompts(), folder.pipeline())
          .write(target);
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java has SHA-256", e);
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
    folder.close();
  }
}
