// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.reference;

import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import org.apache.commons.math3.special.Erf;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Unary;

/** Functions of each element, with broadcasting. */
final class ElementKernels {
  private ElementKernels() {}

  static DoubleUnaryOperator function(Unary.Kind kind) {
    return switch (kind) {
      case ABS -> Math::abs;
      case COS -> StrictMath::cos;
      case ERF -> Erf::erf;
      case EXP -> StrictMath::exp;
      case GELU -> x -> 0.5 * x * Erf.erfc(-x / Math.sqrt(2));
      case LOG -> StrictMath::log;
      case LOG_SIGMOID -> x -> Math.min(x, 0) - StrictMath.log1p(StrictMath.exp(-Math.abs(x)));
      case RECIPROCAL -> x -> 1 / x;
      case RELU -> x -> Math.max(x, 0);
      case SIGMOID -> x -> 1 / (1 + StrictMath.exp(-x));
      case SIGN -> Math::signum;
      case SILU -> x -> x / (1 + StrictMath.exp(-x));
      case SIN -> StrictMath::sin;
      case SQRT -> Math::sqrt;
      case SQUARE -> x -> x * x;
      case TANH -> StrictMath::tanh;
    };
  }

  static DoubleBinaryOperator function(Binary.Kind kind) {
    return switch (kind) {
      case ADD -> (a, b) -> a + b;
      case DIV -> (a, b) -> a / b;
      case GREATER -> (a, b) -> a > b ? 1 : 0;
      case MAXIMUM -> Math::max;
      case MINIMUM -> Math::min;
      case MUL -> (a, b) -> a * b;
      case SUB -> (a, b) -> a - b;
    };
  }

  static void map(DoubleUnaryOperator f, Array x, Array out) {
    for (long i = 0; i < out.size(); i++) {
      out.set(i, f.applyAsDouble(x.get(i)));
    }
  }

  static void map2(DoubleBinaryOperator f, Array a, Array b, Array out) {
    for (long i = 0; i < out.size(); i++) {
      double x = a.get(a.position(out.shape(), i));
      double y = b.get(b.position(out.shape(), i));
      out.set(i, f.applyAsDouble(x, y));
    }
  }

  static void select(Array mask, Array a, Array b, Array out) {
    for (long i = 0; i < out.size(); i++) {
      Array chosen = mask.get(mask.position(out.shape(), i)) != 0 ? a : b;
      out.set(i, chosen.get(chosen.position(out.shape(), i)));
    }
  }
}
