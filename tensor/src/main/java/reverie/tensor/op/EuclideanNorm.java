// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * The root of the sum of the squares of all elements, {@code x[…] → []}: of gradients, without
 * memory for their squares.
 */
public record EuclideanNorm() implements Fused, Reduction {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.floating(this, inputs);
    return Rule.one(inputs.getFirst().withShape(Shape.of()));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    return new Tensor[] {inputs[0].square().sum().sqrt()};
  }
}
