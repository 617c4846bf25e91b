// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import reverie.tensor.ReverieException;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The configuration of a U-Net of diffusers, from its config.json. What the file leaves out has
 * diffusers' default for the class, the same in all its versions; an option that is not supported
 * and would change the result is an error; keys that are not known are kept and written back. Lists
 * have one entry per level, from the full resolution down.
 *
 * @param json the whole file
 * @param conditioned {@code UNet2DConditionModel}, else {@code UNet2DModel}
 * @param sampleSize height and width; empty if the file gives none
 * @param midBlockType null for none
 * @param attentionHeadDim of a UNet2DModel the channels of each head; of a UNet2DConditionModel, in
 *     spite of the name, the number of heads
 * @param attentionNormGroups groups of the middle attention's norm; 0 for no norm
 * @param crossAttentionDim channels of the context; empty for a UNet2DModel
 * @param scaleShift whether the time scales and shifts ({@code resnet_time_scale_shift})
 * @param classLabels what labels the model takes
 * @param classInputs number of classes, or of a label's elements
 */
public record UNetConfig(
    String json,
    boolean conditioned,
    List<Integer> sampleSize,
    int inChannels,
    int outChannels,
    boolean centerInputSample,
    boolean flipSinToCos,
    double freqShift,
    int timeEmbeddingDim,
    List<String> downBlockTypes,
    String midBlockType,
    List<String> upBlockTypes,
    List<Integer> blockOutChannels,
    List<Integer> layersPerBlock,
    List<Integer> attentionHeadDim,
    List<Integer> crossAttentionDim,
    List<Integer> transformerLayersPerBlock,
    List<Boolean> onlyCrossAttention,
    boolean useLinearProjection,
    boolean addAttention,
    int attentionNormGroups,
    int downsamplePadding,
    boolean resnetDownsample,
    boolean resnetUpsample,
    double midBlockScaleFactor,
    String actFn,
    int normNumGroups,
    double normEps,
    boolean scaleShift,
    int convInKernel,
    int convOutKernel,
    ClassLabels classLabels,
    int classInputs) {
  private static final JsonMapper MAPPER =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  /** Options that change the result and are not supported, with the values that change nothing. */
  private static final Map<String, List<Object>> NEUTRAL =
      Map.ofEntries(
          Map.entry("addition_embed_type", List.of()),
          Map.entry("attention_type", List.of("default")),
          Map.entry("class_embeddings_concat", List.of(false)),
          Map.entry("dual_cross_attention", List.of(false)),
          Map.entry("encoder_hid_dim", List.of()),
          Map.entry("encoder_hid_dim_type", List.of()),
          Map.entry("num_attention_heads", List.of()),
          Map.entry("reverse_transformer_layers_per_block", List.of()),
          Map.entry("time_cond_proj_dim", List.of()),
          Map.entry("time_embedding_act_fn", List.of()),
          Map.entry("time_embedding_type", List.of("positional")),
          Map.entry("timestep_post_act", List.of()));

  private static final int MAX_LEVELS = 16;
  private static final int MAX_LAYERS = 100;
  private static final String SUBJECT = "unet config";
  private static final String CLASS = "_class_name";
  private static final String PLAIN = "UNet2DModel";
  private static final String CONDITIONED = "UNet2DConditionModel";

  /** Reads a config.json, or the one in a model's folder. */
  public static UNetConfig read(Path path) {
    Path file = Files.isDirectory(path) ? path.resolve("config.json") : path;
    return ConfigReader.read(SUBJECT, file, UNetConfig::parse);
  }

  /** From the keys and values of a config.json. */
  public static UNetConfig of(Map<String, ?> values) {
    return parse(MAPPER.writeValueAsString(values));
  }

  /** From the text of a config.json. */
  public static UNetConfig parse(String json) {
    ConfigReader c = ConfigReader.parse(SUBJECT, json);
    boolean conditioned = c.choice(CLASS, null, List.of(PLAIN, CONDITIONED)).equals(CONDITIONED);
    c.refuse(NEUTRAL);
    return conditioned ? conditioned(c) : plain(c);
  }

  static ReverieException error(String key, String expected, Object got) {
    return ConfigReader.error(SUBJECT, key, expected, got);
  }

  private static UNetConfig plain(ConfigReader c) {
    List<String> down =
        c.texts(
            "down_block_types",
            List.of("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"));
    int levels = down.size();
    List<Integer> channels = c.counts("block_out_channels", List.of(224, 448, 672, 896));
    boolean oneHead = c.json().has("attention_head_dim") && c.isNull("attention_head_dim");
    int groups = c.count("norm_num_groups", 32);
    boolean scaleShift = scaleShift(c);
    int attentionGroups = scaleShift ? 0 : groups;
    if (!c.isNull("attn_norm_num_groups")) {
      attentionGroups = c.count("attn_norm_num_groups", 1);
    }
    return build(
        c,
        false,
        3,
        down,
        c.text("mid_block_type", "UNetMidBlock2D"),
        c.texts(
            "up_block_types",
            List.of("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D")),
        channels,
        ConfigReader.repeated(c.count("layers_per_block", 2), levels),
        oneHead ? channels : ConfigReader.repeated(c.count("attention_head_dim", 8), levels),
        List.of(),
        attentionGroups,
        scaleShift);
  }

  private static UNetConfig conditioned(ConfigReader c) {
    List<String> down =
        c.texts(
            "down_block_types",
            List.of(
                "CrossAttnDownBlock2D",
                "CrossAttnDownBlock2D",
                "CrossAttnDownBlock2D",
                "DownBlock2D"));
    int levels = down.size();
    return build(
        c,
        true,
        4,
        down,
        c.text("mid_block_type", "UNetMidBlock2DCrossAttn"),
        c.texts(
            "up_block_types",
            List.of("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")),
        c.counts("block_out_channels", List.of(320, 640, 1280, 1280)),
        c.counts("layers_per_block", 2, levels),
        c.counts("attention_head_dim", 8, levels),
        c.counts("cross_attention_dim", 1280, levels),
        0,
        scaleShift(c));
  }

  private static boolean scaleShift(ConfigReader c) {
    String norm = c.choice("resnet_time_scale_shift", "default", List.of("default", "scale_shift"));
    return norm.equals("scale_shift");
  }

  private static UNetConfig build(
      ConfigReader c,
      boolean conditioned,
      int defaultImageChannels,
      List<String> down,
      String mid,
      List<String> up,
      List<Integer> channels,
      List<Integer> layers,
      List<Integer> headDim,
      List<Integer> crossDim,
      int attentionGroups,
      boolean scaleShift) {
    int levels = down.size();
    if (levels == 0) {
      throw c.error("down_block_types", "at least one block", down);
    }
    c.sized("up_block_types", up, levels);
    c.sized("block_out_channels", channels, levels);
    int timeDim =
        c.isNull("time_embedding_dim") ? 4 * channels.getFirst() : c.count("time_embedding_dim", 1);
    List<String> samplers = List.of("conv", "resnet");
    List<Integer> transformers = c.counts("transformer_layers_per_block", 1, levels);
    requireAtMost(c, "down_block_types", List.of(levels), MAX_LEVELS);
    requireAtMost(c, "layers_per_block", layers, MAX_LAYERS);
    requireAtMost(c, "transformer_layers_per_block", transformers, MAX_LAYERS);
    ClassLabels labels = labels(c, conditioned);
    return new UNetConfig(
        c.source(),
        conditioned,
        sampleSize(c),
        c.count("in_channels", defaultImageChannels),
        c.count("out_channels", defaultImageChannels),
        c.flag("center_input_sample", false),
        c.flag("flip_sin_to_cos", true),
        c.number("freq_shift", 0),
        timeDim,
        down,
        mid,
        up,
        channels,
        layers,
        headDim,
        crossDim,
        transformers,
        c.flags("only_cross_attention", false, levels),
        c.flag("use_linear_projection", false),
        c.flag("add_attention", true),
        attentionGroups,
        padding(c),
        !conditioned && c.choice("downsample_type", "conv", samplers).equals("resnet"),
        !conditioned && c.choice("upsample_type", "conv", samplers).equals("resnet"),
        c.number("mid_block_scale_factor", 1),
        c.choice("act_fn", "silu", List.of("silu", "swish", "gelu", "relu")),
        c.count("norm_num_groups", 32),
        c.number("norm_eps", 1e-5),
        scaleShift,
        conditioned ? c.count("conv_in_kernel", 3) : 3,
        conditioned ? c.count("conv_out_kernel", 3) : 3,
        labels,
        switch (labels) {
          case CLASSES -> c.count("num_class_embeds", 1);
          case PROJECTION -> c.count("projection_class_embeddings_input_dim", 1);
          default -> 0;
        });
  }

  private static ClassLabels labels(ConfigReader c, boolean conditioned) {
    String type = c.text("class_embed_type", null);
    if ("projection".equals(type)
        && conditioned
        && !c.isNull("projection_class_embeddings_input_dim")) {
      return ClassLabels.PROJECTION;
    }
    return switch (type) {
      case null -> c.isNull("num_class_embeds") ? ClassLabels.NONE : ClassLabels.CLASSES;
      case "timestep" -> ClassLabels.TIMESTEP;
      case "identity" -> ClassLabels.IDENTITY;
      default ->
          throw c.error(
              "class_embed_type",
              "timestep, identity, projection with projection_class_embeddings_input_dim, or"
                  + " num_class_embeds alone",
              type);
    };
  }

  /** Refuses what would build layers for minutes. */
  private static void requireAtMost(ConfigReader c, String key, List<Integer> values, int most) {
    if (values.stream().anyMatch(v -> v > most)) {
      throw c.error(key, "at most " + most, values);
    }
  }

  private static int padding(ConfigReader c) {
    double padding = c.number("downsample_padding", 1);
    if (padding != 0 && padding != 1) {
      throw c.error("downsample_padding", "0 or 1", padding);
    }
    return (int) padding;
  }

  private static List<Integer> sampleSize(ConfigReader c) {
    if (c.isNull("sample_size")) {
      return List.of();
    }
    return c.counts("sample_size", 1, 2);
  }

  /** What {@code act_fn} stands for. */
  public Activation activation() {
    return Activation.of(actFn);
  }

  /** Number of resolutions. */
  public int levels() {
    return downBlockTypes.size();
  }

  /**
   * What the sides of a sample must be multiples of. As in diffusers, a {@code
   * UNet2DConditionModel} whose convolutions round up on the way down crops on the way up, and
   * takes any size.
   */
  public int sideMultiple() {
    return conditioned && downsamplePadding == 1 ? 1 : 1 << (levels() - 1);
  }

  /** Whether it is told by a number which class to draw, and nothing else. */
  public boolean takesClasses() {
    return classLabels == ClassLabels.CLASSES && !conditioned;
  }

  /** The name of diffusers' class. */
  public String className() {
    return conditioned ? CONDITIONED : PLAIN;
  }

  /** The text of config.json for this model: what was read, with a version if it had none. */
  public String toJson(String diffusersVersion) {
    ObjectNode all = (ObjectNode) MAPPER.readTree(json);
    if (all.has("_diffusers_version")) {
      return json;
    }
    all.put("_diffusers_version", diffusersVersion);
    return MAPPER.writeValueAsString(all) + "\n";
  }
}
