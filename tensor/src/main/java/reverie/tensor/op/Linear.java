// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * {@code x[…, in] · weight[out, in]ᵀ (+ bias[out] (+ residual[…, out]))}: the last two inputs are
 * optional.
 */
public record Linear() implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 4);
    TensorType y = product(this, inputs);
    if (inputs.size() > 3) {
      Rule.shape(this, inputs, 3, "residual", y.shape().dims());
    }
    return Rule.one(y);
  }

  /** The type of x·weightᵀ (+ bias). */
  static TensorType product(Op op, List<TensorType> inputs) {
    Rule.floating(op, inputs);
    Rule.rankAtLeast(op, inputs, 0, 1);
    Rule.rank(op, inputs, 1, 2);
    TensorType x = inputs.get(0);
    int out = inputs.get(1).shape().dim(0);
    Rule.shape(op, inputs, 1, "weight", out, x.shape().dim(-1));
    if (inputs.size() > 2) {
      Rule.shape(op, inputs, 2, "bias", out);
    }
    return x.withShape(x.shape().with(-1, out));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor x = inputs[0];
    Tensor y = x.rows().matmul(inputs[1].transpose());
    if (inputs.length > 2) {
      y = y.add(inputs[2]);
    }
    y = y.reshape(x.shape().with(-1, inputs[1].dim(0)).dims());
    return new Tensor[] {inputs.length > 3 ? y.add(inputs[3]) : y};
  }
}
