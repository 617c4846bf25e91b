// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/** {@code (x, dy) → dx = dy·σ(x)·(1 + x·(1 − σ(x)))}. */
public record SiluBackward() implements ElementFunction, Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 2);
    Rule.floating(this, inputs);
    Rule.sameType(this, inputs, 0, 1);
    return Rule.one(inputs.getFirst());
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor s = inputs[0].sigmoid();
    return new Tensor[] {inputs[1].mul(s).mul(inputs[0].mul(s.neg().add(1)).add(1))};
  }
}
