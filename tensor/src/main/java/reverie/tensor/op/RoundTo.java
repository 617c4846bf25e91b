// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.TensorType;

/**
 * Values rounded to what a narrower type can hold, without changing the dtype; the gradient passes
 * straight through.
 */
public record RoundTo(DType narrower) implements ElementFunction {
  /** Checks the type. */
  public RoundTo {
    if (!narrower.isFloating()) {
      throw new ReverieException("round_to: expected a floating-point type, got " + narrower);
    }
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.floating(this, inputs);
    return Rule.one(inputs.getFirst());
  }
}
