// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import java.util.Locale;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/** A function of two elements; shapes broadcast. */
public record Binary(Kind kind) implements ElementFunction {
  /** Which function. */
  public enum Kind {
    /** a + b. */
    ADD,
    /** a / b. */
    DIV,
    /** 1 if a &gt; b, else 0. */
    GREATER,
    /** The larger; NaN if either is. */
    MAXIMUM,
    /** The smaller; NaN if either is. */
    MINIMUM,
    /** a · b. */
    MUL,
    /** a − b. */
    SUB
  }

  @Override
  public String name() {
    return kind.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 2);
    Rule.floating(this, inputs);
    Shape out = Shape.broadcast(name(), inputs.get(0).shape(), inputs.get(1).shape());
    return Rule.one(inputs.getFirst().withShape(out));
  }
}
