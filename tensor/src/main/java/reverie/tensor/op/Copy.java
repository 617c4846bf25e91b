// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.TensorType;

/** The same values in row-major order in memory of their own. */
public record Copy() implements ElementWise {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    return Rule.one(inputs.getFirst());
  }
}
