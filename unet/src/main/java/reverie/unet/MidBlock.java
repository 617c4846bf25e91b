// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import reverie.autograd.nn.Context;
import reverie.autograd.nn.Parameters;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/** The lowest resolution: a residual block, and perhaps attention and another one. */
final class MidBlock {
  private final ResnetBlock first;
  private final SpatialLayer attention;
  private final boolean needsContext;
  private final ResnetBlock second;

  MidBlock(Parameters p, UNetConfig config) {
    int level = config.levels() - 1;
    int channels = config.blockOutChannels().get(level);
    double scale = config.midBlockScaleFactor();
    needsContext = cross(config);
    first =
        new ResnetBlock(
            p.at("resnets.0"), ResnetBlock.Options.of(config), channels, channels, scale, x -> x);
    Parameters at = p.at("attentions.0");
    if (needsContext) {
      attention =
          Layers.attention(
              at,
              config,
              Layers.Kind.CROSS_ATTENTION,
              level,
              channels,
              config.normNumGroups(),
              scale,
              false);
    } else if (config.conditioned() || !config.addAttention()) {
      attention = null;
    } else {
      attention =
          Layers.attention(
              at,
              config,
              Layers.Kind.ATTENTION,
              level,
              channels,
              config.attentionNormGroups(),
              scale,
              false);
    }
    // diffusers leaves the second block out of a plain middle in a conditioned model only.
    second =
        config.conditioned() && !needsContext
            ? null
            : new ResnetBlock(
                p.at("resnets.1"),
                ResnetBlock.Options.of(config),
                channels,
                channels,
                scale,
                x -> x);
  }

  private static boolean cross(UNetConfig config) {
    String type = config.midBlockType();
    boolean cross = type.equals("UNetMidBlock2DCrossAttn") && config.conditioned();
    if (!cross && !type.equals("UNetMidBlock2D")) {
      throw UNetConfig.error(
          "mid_block_type",
          (config.conditioned() ? "UNetMidBlock2DCrossAttn, " : "") + "UNetMidBlock2D or null",
          type);
    }
    return cross;
  }

  Tensor forward(Tensor x, Tensor embedding, Context context) {
    if (needsContext && context == null) {
      throw new ReverieException("unet: expected a context, got none");
    }
    Tensor y = first.forward(x, embedding);
    y = attention == null ? y : attention.forward(y, context);
    return second == null ? y : second.forward(y, embedding);
  }
}
