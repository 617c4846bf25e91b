// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import reverie.autograd.nn.Context;
import reverie.autograd.nn.FeedForward;
import reverie.autograd.nn.LayerNorm;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/** diffusers' {@code BasicTransformerBlock}: self-attention, cross-attention, GEGLU, each added. */
final class TransformerBlock {
  private static final double EPSILON = 1e-5;

  private final boolean onlyCross;
  private final LayerNorm norm1;
  private final Attention attention1;
  private final LayerNorm norm2;
  private final Attention attention2;
  private final LayerNorm norm3;
  private final FeedForward feedForward;

  TransformerBlock(Parameters p, int channels, int heads, int contextChannels, boolean onlyCross) {
    this.onlyCross = onlyCross;
    int headDim = channels / heads;
    int firstContext = onlyCross ? contextChannels : channels;
    norm1 = new LayerNorm(p.at("norm1"), channels, EPSILON);
    attention1 = new Attention(p.at("attn1"), channels, firstContext, heads, headDim, false);
    norm2 = new LayerNorm(p.at("norm2"), channels, EPSILON);
    attention2 = new Attention(p.at("attn2"), channels, contextChannels, heads, headDim, false);
    norm3 = new LayerNorm(p.at("norm3"), channels, EPSILON);
    feedForward = new FeedForward(p.at("ff"), channels);
  }

  Tensor forward(Tensor image, Context context) {
    int rows = context.predictions();
    Tensor x = onlyCross ? Ops.repeat(image, rows) : image;
    Tensor normed = norm1.forward(x);
    Tensor y = attention1.forward(normed, onlyCross ? context : Context.each(normed), x);
    y = Ops.repeat(y, rows);
    y = attention2.forward(norm2.forward(y), context, y);
    return feedForward.forward(norm3.forward(y), y);
  }
}
