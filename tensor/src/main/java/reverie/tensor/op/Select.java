// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/**
 * {@code mask ≠ 0 ? a : b}, element by element; all three broadcast, and no gradient flows into the
 * mask.
 */
public record Select() implements ElementFunction {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 3, 3);
    Rule.floating(this, inputs);
    Shape ab = Shape.broadcast(name(), inputs.get(1).shape(), inputs.get(2).shape());
    Shape out = Shape.broadcast(name(), inputs.get(0).shape(), ab);
    return Rule.one(inputs.getFirst().withShape(out));
  }
}
