// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.DType;
import reverie.tensor.TensorType;

/**
 * The gradient of {@link Embedding}: rows of {@code dy[…, d]} added up at {@code indices[…]} (I32)
 * in a table of {@code rows} rows, in the order of the indices.
 */
public record ScatterRows(int rows) implements DataMovement {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 2);
    TensorType dy = inputs.get(0);
    Rule.require(
        dy.dtype().isFloating()
            && inputs.get(1).dtype() == DType.I32
            && dy.shape().rank() == inputs.get(1).shape().rank() + 1
            && dy.shape().size() == inputs.get(1).shape().size() * dy.shape().dim(-1),
        this,
        "dy[…, d] and I32 indices[…]",
        inputs);
    return Rule.one(dy.withShape(rows, dy.shape().dim(-1)));
  }
}
