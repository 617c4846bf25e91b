// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/** {@code a + weight·(b − a)} for {@code (a, b, weight[1])}: a moving average when it updates a. */
public record Lerp() implements ParameterUpdate, Fused {
  /** False: it updates parameters in place, which are contiguous. */
  @Override
  public boolean stridedInputs() {
    return false;
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 3, 3);
    Rule.floating(this, inputs);
    Rule.sameType(this, inputs, 0, 1);
    Rule.shape(this, inputs, 2, "weight", 1);
    return Rule.one(inputs.getFirst());
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor moved = inputs[0].add(inputs[1].sub(inputs[0]).mul(inputs[2]));
    return new Tensor[] {moved.reshape(inputs[0].shape().dims())};
  }
}
