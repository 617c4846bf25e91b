// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import java.util.Optional;
import reverie.tensor.Layout;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/** A view broadcast to a larger shape. */
public record Expand(Shape shape) implements View {
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

  @Override
  public Optional<Layout> view(Layout input) {
    int[] strides = new int[shape.rank()];
    int lead = shape.rank() - input.shape().rank();
    for (int i = lead; i < strides.length; i++) {
      strides[i] = input.shape().dim(i - lead) == 1 ? 0 : input.stride(i - lead);
    }
    return Optional.of(new Layout(shape, strides, input.offset()));
  }
}
