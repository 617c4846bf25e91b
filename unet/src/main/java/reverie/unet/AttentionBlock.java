// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import reverie.autograd.nn.GroupNorm;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Tensor;

/** Self-attention among the pixels: {@code (x + attention(norm(x))) / scale}. */
final class AttentionBlock implements SpatialLayer {
  private final GroupNorm norm;
  private final Attention attention;
  private final double scale;

  /** With no norm if {@code groups} is 0. */
  AttentionBlock(
      Parameters p, int channels, int headDim, int groups, double epsilon, double scale) {
    norm = groups == 0 ? null : new GroupNorm(p.at("group_norm"), groups, channels, epsilon);
    attention = new Attention(p, channels, channels, channels / headDim, headDim, true);
    this.scale = scale;
  }

  @Override
  public Tensor forward(Tensor x, Tensor context) {
    int[] sequence = {x.dim(0), x.dim(1) * x.dim(2), x.dim(3)};
    Tensor tokens = (norm == null ? x : norm.forward(x)).reshape(sequence);
    Tensor y = attention.forward(tokens, tokens, x.reshape(sequence)).reshape(x.shape().dims());
    return scale == 1 ? y : y.div(scale);
  }
}
