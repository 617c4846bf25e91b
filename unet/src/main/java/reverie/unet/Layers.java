// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.util.ArrayList;
import java.util.List;
import reverie.autograd.nn.Context;
import reverie.autograd.nn.Parameters;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/** The residual blocks of one level with the attention that follows each, if any. */
final class Layers {
  /** The three kinds of blocks, which differ in the attention. */
  enum Kind {
    PLAIN,
    ATTENTION,
    CROSS_ATTENTION;

    /** From the name of a block type: {@code CrossAttnDownBlock2D}. */
    static Kind of(String key, String type, String block) {
      return switch (type.replaceFirst("^UNetRes", "")) {
        case String t when t.equals(block) -> PLAIN;
        case String t when t.equals("Attn" + block) -> ATTENTION;
        case String t when t.equals("CrossAttn" + block) -> CROSS_ATTENTION;
        default ->
            throw UNetConfig.error(
                key, "one of " + block + ", Attn" + block + " and CrossAttn" + block, type);
      };
    }
  }

  private final UNetConfig config;
  private final Parameters parameters;
  private final Kind kind;
  private final int level;
  private final List<ResnetBlock> resnets = new ArrayList<>();
  private final List<SpatialLayer> attentions = new ArrayList<>();

  Layers(Parameters parameters, UNetConfig config, Kind kind, int level) {
    this.parameters = parameters;
    this.config = config;
    this.kind = kind;
    this.level = level;
    if (kind == Kind.CROSS_ATTENTION && !config.conditioned()) {
      throw UNetConfig.error("down_block_types", "no cross-attention in a UNet2DModel", kind);
    }
  }

  /** Adds one residual block and its attention. */
  void add(int in, int out) {
    int i = resnets.size();
    resnets.add(
        new ResnetBlock(parameters.at("resnets", i), ResnetBlock.Options.of(config), in, out));
    if (kind != Kind.PLAIN) {
      attentions.add(
          attention(
              parameters.at("attentions", i),
              config,
              kind,
              level,
              out,
              config.normNumGroups(),
              1,
              config.onlyCrossAttention().get(level)));
    }
  }

  static SpatialLayer attention(
      Parameters p,
      UNetConfig config,
      Kind kind,
      int level,
      int channels,
      int groups,
      double scale,
      boolean onlyCross) {
    int headDim = config.attentionHeadDim().get(level);
    if (headDim < 1 || channels / headDim < 1) {
      throw UNetConfig.error(
          "attention_head_dim", "at least 1 and at most the " + channels + " channels", headDim);
    }
    if (kind == Kind.ATTENTION) {
      if (config.attentionHeadDim().stream().distinct().count() > 1 && config.conditioned()) {
        throw UNetConfig.error(
            "attention_head_dim",
            "one number, because the versions of diffusers differ for lists with AttnUpBlock2D",
            config.attentionHeadDim());
      }
      return new AttentionBlock(p, channels, headDim, groups, config.normEps(), scale);
    }
    return new Transformer2D(
        p,
        channels,
        headDim,
        config.crossAttentionDim().get(level),
        config.transformerLayersPerBlock().get(level),
        groups,
        onlyCross,
        config.useLinearProjection());
  }

  int size() {
    return resnets.size();
  }

  /** Carries out residual block i and its attention. */
  Tensor forward(int i, Tensor image, Tensor embedding, Context context) {
    Tensor x = resnets.get(i).forward(image, embedding);
    if (kind == Kind.PLAIN) {
      return x;
    }
    if (kind == Kind.CROSS_ATTENTION && context == null) {
      throw new ReverieException(
          "unet: expected a context [n, tokens, "
              + config.crossAttentionDim().get(level)
              + "], got none",
          "a model with cross-attention needs encoder hidden states, if only of the empty prompt");
    }
    return attentions.get(i).forward(x, context);
  }
}
