// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.TensorType;

/** Zeros put before and after along an axis. */
public record Pad(int axis, int before, int after) implements DataMovement {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    TensorType x = inputs.getFirst();
    Rule.require(
        axis >= 0 && axis < x.shape().rank() && before >= 0 && after >= 0,
        this,
        "an axis of the input and widths of at least 0 but axis "
            + axis
            + ", "
            + before
            + " and "
            + after,
        inputs);
    return Rule.one(x.withShape(x.shape().with(axis, before + x.shape().dim(axis) + after)));
  }
}
