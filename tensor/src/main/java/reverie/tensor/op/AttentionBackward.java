// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * {@code (q, k, v, y, logSumExp, dy) → (dq, dk, dv)} of {@link Attention}.
 *
 * <pre>{@code
 * P = exp(scale·q·kᵀ − logSumExp)    dV = Pᵀ·dy    dS = P·(dy·vᵀ − Σ dy·y)    dq = scale·dS·k    dk = scale·dSᵀ·q
 * }</pre>
 */
public record AttentionBackward(double scale, int heads) implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 6, 6);
    Rule.floating(this, inputs);
    List<TensorType> forward = new Attention(scale, heads).infer(inputs.subList(0, 3));
    Rule.require(
        inputs.get(3).equals(forward.get(0))
            && inputs.get(4).equals(forward.get(1))
            && inputs.get(5).equals(forward.get(0)),
        this,
        "y and dy " + forward.get(0) + " and logSumExp " + forward.get(1),
        inputs);
    return inputs.subList(0, 3);
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor q = Attention.split(inputs[0], heads);
    Tensor k = Attention.split(inputs[1], heads);
    Tensor v = Attention.split(inputs[2], heads);
    Tensor y = Attention.split(inputs[3], heads);
    Tensor dy = Attention.split(inputs[5], heads);
    Tensor logSumExp = inputs[4].reshape(q.dim(0), heads, q.dim(2), 1);
    Tensor p = q.matmul(k.transpose()).mul(scale).sub(logSumExp).exp();
    Tensor ds = p.mul(dy.matmul(v.transpose()).sub(dy.mul(y).sumKeep(-1)));
    return new Tensor[] {
      Attention.join(ds.matmul(k).mul(scale)),
      Attention.join(ds.transpose().matmul(q).mul(scale)),
      Attention.join(p.transpose().matmul(dy))
    };
  }
}
