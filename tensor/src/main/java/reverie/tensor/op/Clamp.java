// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.ReverieException;
import reverie.tensor.TensorType;

/**
 * {@code min(max(x, low), high)}; NaN stays NaN; the gradient is 1 where {@code low ≤ x ≤ high},
 * else 0.
 */
public record Clamp(double low, double high) implements ElementFunction {
  /** Checks the bounds. */
  public Clamp {
    if (!(low <= high)) {
      throw new ReverieException("clamp: expected low ≤ high, got " + low + " and " + high);
    }
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.floating(this, inputs);
    return Rule.one(inputs.getFirst());
  }
}
