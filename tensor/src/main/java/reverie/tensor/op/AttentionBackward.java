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
public record AttentionBackward(double scale) implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 6, 6);
    Rule.floating(this, inputs);
    List<TensorType> forward = new Attention(scale).infer(inputs.subList(0, 3));
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
    Tensor q = inputs[0];
    Tensor k = inputs[1];
    Tensor dy = inputs[5];
    Tensor logSumExp = inputs[4].reshape(q.dim(0), q.dim(1), 1);
    Tensor p = q.matmul(k.transpose()).mul(scale).sub(logSumExp).exp();
    Tensor ds = p.mul(dy.matmul(inputs[2].transpose()).sub(dy.mul(inputs[3]).sumKeep(-1)));
    return new Tensor[] {
      ds.matmul(k).mul(scale), ds.transpose().matmul(q).mul(scale), p.transpose().matmul(dy)
    };
  }
}
