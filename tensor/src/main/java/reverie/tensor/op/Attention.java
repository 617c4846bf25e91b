// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * {@code softmax(scale·q·kᵀ)·v} in each of several heads, which lie beside each other: from {@code
 * q[b, tq, heads·d], k[b, tk, heads·d], v[b, tk, heads·dv]} to {@code y[b, tq, heads·dv]}, and
 * {@code log Σ exp(scale·q·kᵀ)[b, heads, tq]} for the backward pass (Dao et al. 2022).
 */
public record Attention(double scale, int heads) implements Fused {
  /** Checks the attributes. */
  public Attention {
    if (heads < 1) {
      throw new ReverieException("attention: expected heads ≥ 1, got " + heads);
    }
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 3, 3);
    Rule.floating(this, inputs);
    for (int i = 0; i < 3; i++) {
      Rule.rank(this, inputs, i, 3);
    }
    TensorType q = inputs.get(0);
    TensorType v = inputs.get(2);
    int b = q.shape().dim(0);
    int tk = v.shape().dim(1);
    Rule.require(tk > 0, this, "at least one key", inputs);
    Rule.require(
        q.shape().dim(2) % heads == 0 && v.shape().dim(2) % heads == 0,
        this,
        "channels that divide into " + heads + " heads",
        inputs);
    Rule.shape(this, inputs, 1, "k", b, tk, q.shape().dim(2));
    Rule.shape(this, inputs, 2, "v", b, tk, v.shape().dim(2));
    return List.of(
        q.withShape(b, q.shape().dim(1), v.shape().dim(2)),
        q.withShape(b, heads, q.shape().dim(1)));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor q = split(inputs[0], heads);
    Tensor k = split(inputs[1], heads);
    Tensor scores = q.matmul(k.transpose()).mul(scale);
    Tensor largest = scores.maxKeep(-1);
    Tensor e = scores.sub(largest).exp();
    Tensor total = e.sumKeep(-1);
    Tensor logSumExp = total.log().add(largest);
    return new Tensor[] {
      join(e.div(total).matmul(split(inputs[2], heads))),
      logSumExp.reshape(inputs[0].dim(0), heads, inputs[0].dim(1))
    };
  }

  /** {@code [b, t, heads·d] → [b, heads, t, d]}. */
  static Tensor split(Tensor x, int heads) {
    return x.reshape(x.dim(0), x.dim(1), heads, x.dim(2) / heads).permute(0, 2, 1, 3);
  }

  /** {@code [b, heads, t, d] → [b, t, heads·d]}. */
  static Tensor join(Tensor x) {
    return x.permute(0, 2, 1, 3).reshape(x.dim(0), x.dim(2), x.dim(1) * x.dim(3));
  }
}
