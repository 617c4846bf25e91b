// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/** {@code (y, dy) → dx = y·(dy − Σ dy·y)} for {@code y = softmax(x)}. */
public record SoftmaxBackward() implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 2);
    Rule.floating(this, inputs);
    Rule.rankAtLeast(this, inputs, 0, 1);
    Rule.sameType(this, inputs, 0, 1);
    return Rule.one(inputs.getFirst());
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor y = inputs[0];
    Tensor dy = inputs[1];
    return new Tensor[] {y.mul(dy.sub(dy.mul(y).sumKeep(-1)))};
  }
}
