// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import java.util.Optional;
import reverie.tensor.Layout;
import reverie.tensor.TensorType;

/** A view of the elements {@code from} (included) to {@code to} (not included) along an axis. */
public record Slice(int axis, int from, int to) implements View {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    TensorType x = inputs.getFirst();
    Rule.require(
        axis >= 0
            && axis < x.shape().rank()
            && from >= 0
            && from <= to
            && to <= x.shape().dim(axis),
        this,
        "elements " + from + " to " + to + " of axis " + axis,
        inputs);
    return Rule.one(x.withShape(x.shape().with(axis, to - from)));
  }

  @Override
  public Optional<Layout> view(Layout input) {
    return Optional.of(
        new Layout(
            input.shape().with(axis, to - from),
            input.strides(),
            input.offset() + (long) from * input.stride(axis)));
  }
}
