// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import reverie.autograd.nn.Context;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/** Attention with several heads between two sequences of tokens, under diffusers' names. */
final class Attention {
  private final int heads;
  private final int headDim;
  private final Linear query;
  private final Linear key;
  private final Linear value;
  private final Linear out;

  Attention(Parameters p, int channels, int contextChannels, int heads, int headDim, boolean bias) {
    if (heads < 1 || headDim < 1) {
      throw new ReverieException(
          "unet: attention over "
              + channels
              + " channels would have "
              + heads
              + " heads of "
              + headDim
              + " channels",
          "attention_head_dim in config.json");
    }
    this.heads = heads;
    this.headDim = headDim;
    int inner = heads * headDim;
    query = new Linear(p.at("to_q"), channels, inner, bias);
    key = new Linear(p.at("to_k"), contextChannels, inner, bias);
    value = new Linear(p.at("to_v"), contextChannels, inner, bias);
    out = new Linear(p.at("to_out.0"), inner, channels, true);
  }

  /**
   * From x {@code [n, t, channels]}, looking at a context of n predictions, added to a residual of
   * x's shape.
   */
  Tensor forward(Tensor x, Context context, Tensor residual) {
    Tensor q = query.forward(x);
    Tensor k = context.spread(key.forward(context.rows()));
    Tensor v = context.spread(value.forward(context.rows()));
    return out.forward(Ops.attention(q, k, v, heads, 1 / Math.sqrt(headDim)), residual);
  }
}
