// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/** A view broadcast to a larger shape. */
public record Expand(Shape shape) implements Op {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.require(
        Shape.broadcast(name(), inputs.getFirst().shape(), shape).equals(shape),
        this,
        "a shape that broadcasts to " + shape,
        inputs);
    return Rule.one(inputs.getFirst().withShape(shape));
  }
}
