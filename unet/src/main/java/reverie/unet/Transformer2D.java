// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BinaryOperator;
import java.util.function.UnaryOperator;
import reverie.autograd.nn.Context;
import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.GroupNorm;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/** diffusers' {@code Transformer2DModel} on an image: transformer blocks over its pixels. */
final class Transformer2D implements SpatialLayer {
  private static final double EPSILON = 1e-6;

  private final GroupNorm norm;
  private final UnaryOperator<Tensor> in;
  private final List<TransformerBlock> blocks = new ArrayList<>();
  private final BinaryOperator<Tensor> out;

  Transformer2D(
      Parameters p,
      int channels,
      int heads,
      int contextChannels,
      int layers,
      int groups,
      boolean onlyCross,
      boolean linear) {
    norm = new GroupNorm(p.at("norm"), groups, channels, EPSILON);
    int inner = channels / heads * heads;
    // The same arithmetic either way; the files differ in the weight's shape.
    if (linear) {
      in = new Linear(p.at("proj_in"), channels, inner, true)::forward;
    } else {
      in = new Conv2d(p.at("proj_in"), channels, inner, 1, 1, 0)::forward;
    }
    for (int i = 0; i < layers; i++) {
      Parameters at = p.at("transformer_blocks", i);
      blocks.add(new TransformerBlock(at, inner, heads, contextChannels, onlyCross));
    }
    if (linear) {
      out = new Linear(p.at("proj_out"), inner, channels, true)::forward;
    } else {
      out = new Conv2d(p.at("proj_out"), inner, channels, 1, 1, 0)::forward;
    }
  }

  @Override
  public Tensor forward(Tensor x, Context context) {
    Tensor y = in.apply(norm.forward(x));
    Tensor tokens = y.reshape(x.dim(0), x.dim(1) * x.dim(2), y.dim(3));
    for (TransformerBlock block : blocks) {
      tokens = block.forward(tokens, context);
    }
    Tensor image = tokens.reshape(y.shape().with(0, tokens.dim(0)).dims());
    return out.apply(image, Ops.repeat(x, image.dim(0)));
  }
}
