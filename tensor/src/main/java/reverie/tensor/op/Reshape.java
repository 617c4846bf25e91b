// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import java.util.Optional;
import reverie.tensor.Layout;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/** The same elements in row-major order in another shape: a view where possible. */
public record Reshape(Shape shape) implements View {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.require(
        inputs.getFirst().shape().size() == shape.size(),
        this,
        shape.size() + " elements for shape " + shape,
        inputs);
    return Rule.one(inputs.getFirst().withShape(shape));
  }

  @Override
  public Optional<Layout> view(Layout input) {
    return input.reshape(shape);
  }
}
