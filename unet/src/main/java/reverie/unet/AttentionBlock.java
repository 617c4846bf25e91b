// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import reverie.autograd.nn.Context;
import reverie.autograd.nn.GroupNorm;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Tensor;

/** Self-attention among the pixels: {@code (x + attention(norm(x))) / scale}. */
public final class AttentionBlock implements SpatialLayer {
  /** How it was named before diffusers 0.15. */
  private static final Pattern OLD_NAME =
      Pattern.compile("(.*attentions\\.\\d+)\\.(query|key|value|proj_attn)\\.(weight|bias)");

  private final GroupNorm norm;
  private final Attention attention;
  private final double scale;

  /**
   * Makes {@code group_norm}, {@code to_q}, {@code to_k}, {@code to_v} and {@code to_out.0}.
   *
   * @param headDim channels of a head
   * @param groups of the norm; 0 for no norm
   */
  public AttentionBlock(
      Parameters p, int channels, int headDim, int groups, double epsilon, double scale) {
    norm = groups == 0 ? null : new GroupNorm(p.at("group_norm"), groups, channels, epsilon);
    attention = new Attention(p, channels, channels, channels / headDim, headDim, true);
    this.scale = scale;
  }

  /** Today's name of a parameter, whether it is one of attention or not. */
  public static String currentName(String name) {
    Matcher old = OLD_NAME.matcher(name);
    if (!old.matches()) {
      return name;
    }
    String projection =
        switch (old.group(2)) {
          case "query" -> "to_q";
          case "key" -> "to_k";
          case "value" -> "to_v";
          default -> "to_out.0";
        };
    return old.group(1) + "." + projection + "." + old.group(3);
  }

  @Override
  public Tensor forward(Tensor x, Context context) {
    int[] sequence = {x.dim(0), x.dim(1) * x.dim(2), x.dim(3)};
    Tensor tokens = (norm == null ? x : norm.forward(x)).reshape(sequence);
    Tensor y =
        attention
            .forward(tokens, Context.each(tokens), x.reshape(sequence))
            .reshape(x.shape().dims());
    return scale == 1 ? y : y.div(scale);
  }
}
