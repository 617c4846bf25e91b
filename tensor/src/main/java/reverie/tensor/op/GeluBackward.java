// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * {@code (x, dy) → dx = dy·(Φ(x) + x·φ(x))} with the normal distribution function Φ and density φ.
 */
public record GeluBackward() implements ElementFunction, Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 2);
    Rule.floating(this, inputs);
    Rule.sameType(this, inputs, 0, 1);
    return Rule.one(inputs.getFirst());
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor x = inputs[0];
    Tensor distribution = x.mul(Math.sqrt(0.5)).erf().add(1).mul(0.5);
    Tensor density = x.square().mul(-0.5).exp().mul(1 / Math.sqrt(2 * Math.PI));
    return new Tensor[] {inputs[1].mul(distribution.add(x.mul(density)))};
  }
}
