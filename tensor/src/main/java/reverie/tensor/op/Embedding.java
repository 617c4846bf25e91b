// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.Arrays;
import java.util.List;
import reverie.tensor.DType;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/**
 * Rows of {@code table[rows, d]} at {@code indices[…]} (I32): {@code […, d]}. An index outside the
 * table gives NaN.
 */
public record Embedding() implements DataMovement {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 2);
    Rule.rank(this, inputs, 0, 2);
    Rule.require(
        inputs.get(0).dtype().isFloating() && inputs.get(1).dtype() == DType.I32,
        this,
        "a floating-point table and I32 indices",
        inputs);
    Shape at = inputs.get(1).shape();
    int[] out = Arrays.copyOf(at.dims(), at.rank() + 1);
    out[at.rank()] = inputs.get(0).shape().dim(1);
    return Rule.one(inputs.get(0).withShape(out));
  }
}
