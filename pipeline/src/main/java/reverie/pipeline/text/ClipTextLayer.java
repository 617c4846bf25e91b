// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.text;

import reverie.autograd.nn.LayerNorm;
import reverie.autograd.nn.Linear;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Tensor;

/** transformers' {@code CLIPEncoderLayer}: masked self-attention and an MLP, each normed before. */
final class ClipTextLayer {
  private static final double QUICK = 1.702;

  private final int heads;
  private final boolean quick;
  private final LayerNorm norm1;
  private final Linear query;
  private final Linear key;
  private final Linear value;
  private final Linear out;
  private final LayerNorm norm2;
  private final Linear up;
  private final Linear down;

  ClipTextLayer(Parameters p, ClipTextConfig config) {
    int hidden = config.hidden();
    heads = config.heads();
    quick = config.activation().equals("quick_gelu");
    Parameters attention = p.at("self_attn");
    key = new Linear(attention.at("k_proj"), hidden, hidden, true);
    value = new Linear(attention.at("v_proj"), hidden, hidden, true);
    query = new Linear(attention.at("q_proj"), hidden, hidden, true);
    out = new Linear(attention.at("out_proj"), hidden, hidden, true);
    norm1 = new LayerNorm(p.at("layer_norm1"), hidden, config.epsilon());
    up = new Linear(p.at("mlp.fc1"), hidden, config.intermediate(), true);
    down = new Linear(p.at("mlp.fc2"), config.intermediate(), hidden, true);
    norm2 = new LayerNorm(p.at("layer_norm2"), hidden, config.epsilon());
  }

  /**
   * From {@code [n, t, hidden]} to the like.
   *
   * @param mask {@code [t, t]}, added to the scores
   */
  Tensor forward(Tensor x, Tensor mask) {
    Tensor y = out.forward(attend(norm1.forward(x), mask), x);
    Tensor inner = up.forward(norm2.forward(y));
    return down.forward(quick ? inner.mul(inner.mul(QUICK).sigmoid()) : inner.gelu(), y);
  }

  private Tensor attend(Tensor x, Tensor mask) {
    Tensor q = split(query.forward(x));
    Tensor scores = q.mul(1 / Math.sqrt(q.dim(3))).matmul(split(key.forward(x)).transpose());
    Tensor y = scores.add(mask).softmax().matmul(split(value.forward(x)));
    return y.permute(0, 2, 1, 3).reshape(x.shape().dims());
  }

  /** {@code [n, t, heads·d]} as {@code [n, heads, t, d]}. */
  private Tensor split(Tensor x) {
    return x.reshape(x.dim(0), x.dim(1), heads, x.dim(2) / heads).permute(0, 2, 1, 3);
  }
}
