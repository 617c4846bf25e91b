// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import reverie.app.files.AtomicFile;
import reverie.app.text.ClassNumbers;
import reverie.app.text.PhraseEncoder;
import reverie.app.text.PromptEncoder;
import reverie.autograd.nn.Lora;
import reverie.autograd.nn.Parameter;
import reverie.autograd.nn.Parameters;
import reverie.diffusion.Denoiser;
import reverie.diffusion.SchedulerConfig;
import reverie.pipeline.StableDiffusion;
import reverie.pipeline.lora.LoraFile;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;
import reverie.unet.UNet;
import tools.jackson.databind.json.JsonMapper;

/**
 * A text-to-image model on the disk, in diffusers' layout: {@code unet/} and {@code scheduler/}
 * open there as they are; {@code reverie.json} says which text encoder the prompts must go through.
 *
 * @param unet the network
 * @param scheduler its noise
 * @param encoder identity of its text encoder; empty where the folder does not say
 * @param prompts what it was trained with
 * @param pipeline of which the U-Net is a part: Stable Diffusion, which draws latents; null for a
 *     model that draws images itself
 * @param adapters beside the weights
 */
public record ModelFolder(
    UNet unet,
    SchedulerConfig scheduler,
    String encoder,
    ModelPrompts prompts,
    StableDiffusion pipeline,
    List<Lora> adapters)
    implements AutoCloseable {
  static final String UNET = "unet";
  static final String CONFIG = "config.json";
  static final String SCHEDULER = "scheduler";
  static final String INDEX = "model_index.json";
  static final String OURS = "reverie.json";
  static final String ENCODER = "text_encoder";
  static final String DATA = "data";
  private static final JsonMapper JSON = JsonMapper.shared();

  /** A model that draws images itself. */
  public ModelFolder(UNet unet, SchedulerConfig scheduler, String encoder, ModelPrompts prompts) {
    this(unet, scheduler, encoder, prompts, null, List.of());
  }

  /** Whether a folder has what {@link #read} begins with: adapters, or a U-Net and its weights. */
  public static boolean hasWeights(Path folder) {
    return AdapterFolder.isOne(folder)
        || ModelReader.hasWeights(folder.resolve(UNET))
        || ModelReader.hasWeights(folder);
  }

  /**
   * Reads a model.
   *
   * @param folder that {@link #write} or diffusers wrote, or an {@link AdapterFolder}, whose
   *     adapters are added to the weights of their model
   * @param device where the weights go
   * @param weights how those of the U-Net are held: {@code F32}, {@code F16} or {@code BF16}
   * @return the model, whose parameters the caller closes
   * @throws ReverieException saying which file is missing or wrong
   */
  public static ModelFolder read(Path folder, Device device, DType weights) {
    return ModelReader.read(folder, device, weights, new HashSet<>());
  }

  /** Whether a folder looks like a model's: one of diffusers, or of adapters. */
  public static boolean isOne(Path folder) {
    return AdapterFolder.isOne(folder)
        || Stream.of(UNET, CONFIG, INDEX).anyMatch(name -> Files.exists(folder.resolve(name)));
  }

  /** The same model with another U-Net, which is not closed with this one. */
  public ModelFolder with(UNet other) {
    return new ModelFolder(other, scheduler, encoder, prompts, pipeline, adapters);
  }

  /** The same model, which remembers other prompts. */
  public ModelFolder with(ModelPrompts others) {
    return new ModelFolder(unet, scheduler, encoder, others, pipeline, adapters);
  }

  /** The encoder of its prompts: its own, or the one that is at hand. */
  public PromptEncoder encoderOr(PromptEncoder available) {
    if (unet.config().takesClasses()) {
      return new ClassNumbers(unet.config().classInputs());
    }
    if (encoder.equals(PhraseEncoder.IDENTITY)) {
      return new PhraseEncoder();
    }
    return pipeline == null ? available : new ClipPrompts(pipeline, false);
  }

  /** The embeddings of a pipeline's prompts, for one whose text encoder is trained. */
  public PromptEncoder embeddings() {
    return new ClipPrompts(pipeline, true);
  }

  /**
   * A network of this shape as what denoises: for one that takes classes the context is their
   * weights.
   */
  public Denoiser denoiser(UNet network) {
    return unet.config().takesClasses()
        ? (x, timesteps, context) ->
            network.forward(x, timesteps, null, context.reshape(context.dim(0), context.dim(2)))
        : network::forward;
  }

  /** Rows and columns of an image beside one of what the model draws. */
  public int reduction() {
    return pipeline == null ? 1 : pipeline.autoencoder().config().reduction();
  }

  /** Whether images in three colours are what it draws; else their latents, or grey ones. */
  public boolean drawsColours() {
    return pipeline == null && unet.config().inChannels() == 3;
  }

  /**
   * What it would have drawn for images: the images themselves, grey ones, or latents.
   *
   * @param images {@code [n, size, size, 3]} in [−1, 1]
   */
  public Tensor encode(Tensor images) {
    if (pipeline != null) {
      return pipeline.encode(images);
    }
    return drawsColours() ? images : images.meanKeep(3);
  }

  /** Images {@code [n, h, w, channels]} of what the model draws. */
  public Tensor decode(Tensor drawn) {
    return pipeline == null ? drawn : pipeline.decode(drawn);
  }

  /** The parameters of what adapters can be put on, by the names that files have for them. */
  public Map<String, Parameters> parts() {
    return pipeline == null ? Map.of(LoraFile.UNET, unet.parameters()) : pipeline.parts();
  }

  /**
   * The same model with a file's adapters: added to its weights, or beside them where these are
   * held in 16 bits, which would round the sum.
   */
  ModelFolder adapted(Path file) {
    Map<String, Lora> read = LoraFile.read(file, parts());
    if (unet.parameters().all().stream().noneMatch(Parameter::isNarrow)) {
      read.forEach((part, lora) -> lora.addTo(parts().get(part)));
      read.values().forEach(Lora::close);
      return this;
    }
    List<Lora> all = new ArrayList<>(adapters);
    all.addAll(read.values());
    return new ModelFolder(unet, scheduler, encoder, prompts, pipeline, List.copyOf(all));
  }

  /**
   * What tells the weights from others: of a pipeline those of all parts, which images depend on.
   */
  public String weightsDigest() {
    return WeightsDigest.ofParameters(
        pipeline == null
            ? List.of(unet.parameters())
            : List.of(
                unet.parameters(),
                pipeline.textEncoder().parameters(),
                pipeline.autoencoder().parameters()));
  }

  /** Frees the weights. */
  @Override
  public void close() {
    adapters.forEach(Lora::close);
    if (pipeline == null) {
      unet.close();
    } else {
      pipeline.close();
    }
  }

  /** Whether it draws what a prompt says, words or a class; otherwise it takes none. */
  public boolean isConditional() {
    return takesText() || unet.config().takesClasses();
  }

  /** Whether the empty prompt means something to it, from which guidance can lead away. */
  public boolean takesText() {
    return unet.config().conditioned();
  }

  /**
   * Writes the model; a folder that is there already is replaced file by file.
   *
   * @param folder made if missing
   */
  public void write(Path folder) {
    if (pipeline != null) {
      pipeline.save(folder, DType.F32);
      unet.save(folder.resolve(UNET));
      prompts.write(folder);
      return;
    }
    unet.save(folder.resolve(UNET));
    scheduler.write(folder.resolve(SCHEDULER));
    Map<String, Object> index = new LinkedHashMap<>();
    index.put("_class_name", "ReveriePipeline");
    index.put(UNET, List.of("diffusers", unet.config().className()));
    index.put(SCHEDULER, List.of("diffusers", scheduler.className()));
    writeJson(folder.resolve(INDEX), index);
    Map<String, Object> ours = new LinkedHashMap<>();
    ours.put(ENCODER, encoder);
    if (prompts.data() != null) {
      ours.put(DATA, prompts.data().toString());
    }
    writeJson(folder.resolve(OURS), ours);
    prompts.write(folder);
  }

  /**
   * Checks that prompts will mean to the model what they meant when it was trained.
   *
   * @param available the encoder that would be used
   * @throws ReverieException if the model was trained with another
   */
  public void requireEncoder(PromptEncoder available) {
    if (!takesText() || pipeline != null) {
      return;
    }
    List<Integer> widths = unet.config().crossAttentionDim();
    if (widths.stream().anyMatch(width -> width != available.dimensions())) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "model: its cross_attention_dim is %s, but the text encoder that is at hand, '%s',"
                  + " gives %d",
              widths.stream().distinct().toList(),
              available.identity(),
              available.dimensions()),
          "supported are Stable Diffusion folders, with model_index.json, tokenizer, text_encoder"
              + " and vae beside the U-Net, and models that were trained with this encoder");
    }
    if (encoder.isEmpty()) {
      throw new ReverieException(
          "model: it is conditioned on text, but does not say which text encoder its prompts go"
              + " through",
          "if it was trained with '"
              + available.identity()
              + "', write {\"text_encoder\": \""
              + available.identity()
              + "\"} into its reverie.json; other encoders are not supported");
    }
    if (!encoder.equals(available.identity())) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "model: it was trained with the text encoder '%s', but this is '%s'",
              encoder,
              available.identity()),
          "use the version of Reverie that trained it, or train it again");
    }
  }

  private static void writeJson(Path file, Map<String, Object> value) {
    AtomicFile.writeText(
        file, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(value) + "\n");
  }
}
