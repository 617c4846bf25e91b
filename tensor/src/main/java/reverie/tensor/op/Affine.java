// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.TensorType;

/** {@code scale·x + shift} with constants. */
public record Affine(double scale, double shift) implements ElementFunction {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.floating(this, inputs);
    return Rule.one(inputs.getFirst());
  }
}
