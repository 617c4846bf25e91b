// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import java.util.Locale;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/** A reduction over some axes (ascending), which stay with size 1. */
public record Reduce(Kind kind, int... axes) implements Reduction {
  /** Which reduction. */
  public enum Kind {
    /** The largest; NaN if any is; −∞ of nothing. */
    MAX,
    /** The sum; 0 of nothing. */
    SUM
  }

  @Override
  public String name() {
    return "reduce_" + kind.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.floating(this, inputs);
    Shape shape = inputs.getFirst().shape();
    for (int a : axes) {
      Rule.require(
          a >= 0 && a < shape.rank(),
          this,
          "axes from 0 to " + (shape.rank() - 1) + " but axis " + a,
          inputs);
      shape = shape.with(a, 1);
    }
    return Rule.one(inputs.getFirst().withShape(shape));
  }
}
