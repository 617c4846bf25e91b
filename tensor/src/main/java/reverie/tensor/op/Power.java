// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.TensorType;

/** {@code x} to a constant power. */
public record Power(double exponent) implements ElementFunction {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.floating(this, inputs);
    return Rule.one(inputs.getFirst());
  }
}
