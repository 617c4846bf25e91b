// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import java.util.Locale;
import reverie.tensor.TensorType;

/** A function of each element. */
public record Unary(Kind kind) implements ElementFunction {
  /** Which function. */
  public enum Kind {
    /** |x|. */
    ABS,
    /** cos x. */
    COS,
    /** The error function. */
    ERF,
    /** eˣ. */
    EXP,
    /** x·Φ(x), exact. */
    GELU,
    /** ln x. */
    LOG,
    /** −ln(1+e⁻ˣ). */
    LOG_SIGMOID,
    /** 1/x. */
    RECIPROCAL,
    /** max(x, 0). */
    RELU,
    /** 1/(1+e⁻ˣ). */
    SIGMOID,
    /** −1, 0 or 1. */
    SIGN,
    /** x/(1+e⁻ˣ). */
    SILU,
    /** sin x. */
    SIN,
    /** √x. */
    SQRT,
    /** x². */
    SQUARE,
    /** tanh x. */
    TANH
  }

  @Override
  public String name() {
    return kind.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.floating(this, inputs);
    return Rule.one(inputs.getFirst());
  }
}
