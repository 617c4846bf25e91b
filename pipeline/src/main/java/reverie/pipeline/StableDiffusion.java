// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import reverie.autograd.nn.Parameters;
import reverie.autograd.nn.StateDict;
import reverie.diffusion.SchedulerConfig;
import reverie.pipeline.lora.LoraFile;
import reverie.pipeline.text.ClipTextConfig;
import reverie.pipeline.text.ClipTextModel;
import reverie.pipeline.text.ClipTokenizer;
import reverie.pipeline.vae.Autoencoder;
import reverie.pipeline.vae.AutoencoderConfig;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;
import reverie.tensor.io.WeightFiles;
import reverie.unet.ClassLabels;
import reverie.unet.UNet;
import reverie.unet.UNetConfig;

/**
 * Stable Diffusion 1.x or 2.x, diffusers' {@code StableDiffusionPipeline}: a tokenizer and a text
 * encoder for prompts, a U-Net that denoises latents, and an autoencoder between latents and
 * images.
 *
 * <pre>{@code
 * try (StableDiffusion model = StableDiffusion.load(Path.of("stable-diffusion-v1-5"), Device.cpu())) {
 *   Tensor context = model.context(List.of("a photo of an astronaut"));
 * }
 * }</pre>
 */
public final class StableDiffusion implements AutoCloseable {
  private final PipelineFolder folder;
  private final Device device;
  private final ClipTokenizer tokenizer;
  private final ClipTextModel textEncoder;
  private final UNet unet;
  private final Autoencoder autoencoder;
  private final SchedulerConfig scheduler;

  private StableDiffusion(
      PipelineFolder folder,
      Device device,
      ClipTokenizer tokenizer,
      ClipTextModel textEncoder,
      UNet unet,
      Autoencoder autoencoder,
      SchedulerConfig scheduler) {
    this.folder = folder;
    this.device = device;
    this.tokenizer = tokenizer;
    this.textEncoder = textEncoder;
    this.unet = unet;
    this.autoencoder = autoencoder;
    this.scheduler = scheduler;
  }

  /**
   * Reads a folder.
   *
   * @throws ReverieException if it is of another kind, incomplete or damaged, or its parts do not
   *     fit each other; no weights have been read then
   */
  public static StableDiffusion load(Path path, Device device) {
    return load(path, device, DType.F32);
  }

  /**
   * As {@link #load(Path, Device)}.
   *
   * @param weights how the U-Net's are held: {@code F32}; or {@code F16} or {@code BF16}, which
   *     takes half of the memory and cannot be trained but by adapters
   */
  public static StableDiffusion load(Path path, Device device, DType weights) {
    PipelineFolder folder = PipelineFolder.open(path);
    ClipTokenizer tokenizer = ClipTokenizer.read(path.resolve("tokenizer"));
    ClipTextConfig text = ClipTextConfig.read(folder.file("text_encoder", "config.json"));
    AutoencoderConfig vae = AutoencoderConfig.read(folder.file("vae", "config.json"));
    UNetConfig config = UNetConfig.read(folder.file("unet", "config.json"));
    SchedulerConfig scheduler = SchedulerConfig.read(path.resolve("scheduler"));
    requireFit(path, tokenizer, text, config, vae);
    ClipTextModel textEncoder =
        StateDict.build(
            p -> new ClipTextModel(text, p),
            WeightFiles.find(path.resolve("text_encoder"), "model"),
            ClipTextModel::parameterName,
            device);
    UNet unet = null;
    try {
      unet = UNet.load(path.resolve("unet"), device, weights);
      Autoencoder autoencoder =
          StateDict.build(
              p -> new Autoencoder(vae, p),
              WeightFiles.find(path.resolve("vae"), "diffusion_pytorch_model"),
              Autoencoder::parameterName,
              device);
      return new StableDiffusion(
          folder, device, tokenizer, textEncoder, unet, autoencoder, scheduler);
    } catch (RuntimeException e) {
      textEncoder.close();
      if (unet != null) {
        unet.close();
      }
      throw e;
    }
  }

  private static void requireFit(
      Path path,
      ClipTokenizer tokenizer,
      ClipTextConfig text,
      UNetConfig unet,
      AutoencoderConfig vae) {
    require(
        tokenizer.largestId() < text.vocabulary(),
        path,
        "ids below vocab_size " + text.vocabulary() + " of text_encoder/config.json",
        "the id " + tokenizer.largestId() + " in the tokenizer's vocabulary");
    require(
        tokenizer.length() <= text.length(),
        path,
        "texts of at most max_position_embeddings "
            + text.length()
            + " tokens of text_encoder/config.json",
        "model_max_length " + tokenizer.length() + " in the tokenizer's configuration");
    require(
        unet.crossAttentionDim().stream().allMatch(d -> d == text.hidden()),
        path,
        "cross_attention_dim " + text.hidden() + " in unet/config.json, the text encoder's width",
        unet.crossAttentionDim());
    require(
        unet.inChannels() == vae.latentChannels() && unet.outChannels() == vae.latentChannels(),
        path,
        "in_channels and out_channels "
            + vae.latentChannels()
            + " in unet/config.json, the autoencoder's latent_channels",
        unet.inChannels() + " and " + unet.outChannels());
    require(
        unet.classLabels() == ClassLabels.NONE,
        path,
        "a U-Net in unet/config.json that prompts alone condition",
        "class labels");
    require(
        vae.channels() == 3 && vae.outChannels() == 3,
        path,
        "3 channels of images in vae/config.json",
        vae.channels() + " and " + vae.outChannels());
  }

  private static void require(boolean fits, Path path, String expected, Object got) {
    if (!fits) {
      throw new ReverieException(
          "pipeline: " + path + ": expected " + expected + ", got " + got,
          "the parts belong to different models");
    }
  }

  /**
   * What the U-Net is conditioned on, of prompts: {@code [n, tokens, hidden]}. Prompts that are too
   * long are cut off.
   */
  public Tensor context(List<String> prompts) {
    return textEncoder.forward(tokens(prompts));
  }

  /** Token ids of prompts, cut off or padded: I32 {@code [n, tokens]}. */
  public Tensor tokens(List<String> prompts) {
    int[] ids = prompts.stream().map(tokenizer::encode).flatMapToInt(Arrays::stream).toArray();
    return device.indices(ids, prompts.size(), tokenizer.length());
  }

  /**
   * Images of latents as the U-Net has them: {@code [n, h, w, 3]}, about in [−1, 1]. One is decoded
   * after the other, a large one in tiles.
   *
   * @param latents {@code [n, h, w, latentChannels]}, multiplied with the scaling factor
   * @throws ReverieException if an image is not finite
   */
  public Tensor decode(Tensor latents) {
    return autoencoder.decodeEach(latents.div(autoencoder.config().scalingFactor()));
  }

  /**
   * Latents of images as the U-Net has them: {@code [n, h, w, latentChannels]}.
   *
   * @param images {@code [n, h, w, 3]} in [−1, 1]
   */
  public Tensor encode(Tensor images) {
    return autoencoder.encodeEach(images).mul(autoencoder.config().scalingFactor());
  }

  /** The folder it came from. */
  public PipelineFolder folder() {
    return folder;
  }

  /** From prompts to token ids. */
  public ClipTokenizer tokenizer() {
    return tokenizer;
  }

  /** From token ids to states. */
  public ClipTextModel textEncoder() {
    return textEncoder;
  }

  /** The denoiser of latents. */
  public UNet unet() {
    return unet;
  }

  /** Between images and latents. */
  public Autoencoder autoencoder() {
    return autoencoder;
  }

  /** The parameters of what adapters can be put on, under the names that their files have. */
  public Map<String, Parameters> parts() {
    Map<String, Parameters> parts = new LinkedHashMap<>();
    parts.put(LoraFile.UNET, unet.parameters());
    parts.put(LoraFile.TEXT_ENCODER, textEncoder.parameters());
    return parts;
  }

  /** How the U-Net was trained. */
  public SchedulerConfig scheduler() {
    return scheduler;
  }

  /**
   * Writes the folder that diffusers would write: weights under today's names, everything else as
   * it was read.
   *
   * @param dtype of the weights: {@code F32}, {@code F16} or {@code BF16}
   */
  public void save(Path path, DType dtype) {
    Map<String, String> metadata = Map.of("format", "pt");
    folder.copyTo(path, dtype);
    StateDict.save(
        textEncoder.parameters(), path.resolve("text_encoder/model.safetensors"), dtype, metadata);
    StateDict.save(
        unet.parameters(),
        path.resolve("unet/diffusion_pytorch_model.safetensors"),
        dtype,
        metadata);
    StateDict.save(
        autoencoder.parameters(),
        path.resolve("vae/diffusion_pytorch_model.safetensors"),
        dtype,
        metadata);
  }

  /** Frees all parameters. */
  @Override
  public void close() {
    textEncoder.close();
    unet.close();
    autoencoder.close();
  }
}
