// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.TensorType;

/** Inputs joined along an axis. */
public record Concat(int axis) implements DataMovement {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, Integer.MAX_VALUE);
    Rule.rankAtLeast(this, inputs, 0, axis + 1);
    TensorType first = inputs.getFirst();
    int total = 0;
    for (TensorType t : inputs) {
      Rule.require(
          t.dtype() == first.dtype()
              && t.shape().rank() == first.shape().rank()
              && t.shape().with(axis, 0).equals(first.shape().with(axis, 0)),
          this,
          "inputs that differ in axis " + axis + " only",
          inputs);
      total += t.shape().dim(axis);
    }
    return Rule.one(first.withShape(first.shape().with(axis, total)));
  }
}
