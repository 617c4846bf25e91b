// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * {@code softmax(scale·q·kᵀ)·v} for {@code q[b, tq, d], k[b, tk, d], v[b, tk, dv]}: outputs {@code
 * y[b, tq, dv]} and {@code log Σ exp(scale·q·kᵀ)[b, tq]} for the backward pass (Dao et al. 2022).
 */
public record Attention(double scale) implements Fused {
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
    Rule.shape(this, inputs, 1, "k", b, tk, q.shape().dim(2));
    Rule.shape(this, inputs, 2, "v", b, tk, v.shape().dim(2));
    return List.of(
        q.withShape(b, q.shape().dim(1), v.shape().dim(2)), q.withShape(b, q.shape().dim(1)));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor scores = inputs[0].matmul(inputs[1].transpose()).mul(scale);
    Tensor largest = scores.maxKeep(-1);
    Tensor e = scores.sub(largest).exp();
    Tensor total = e.sumKeep(-1);
    Tensor logSumExp = total.log().add(largest);
    return new Tensor[] {
      e.div(total).matmul(inputs[2]), logSumExp.reshape(inputs[0].dim(0), inputs[0].dim(1))
    };
  }
}
