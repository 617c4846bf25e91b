// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.NE;
import static reverie.tensor.cpu.Memory.SPECIES;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * eˣ of vectors, within 2e-7 of its value, with the same bits however the code is run. The Vector API's own {@code EXP}
 * takes one library when interpreted and another when compiled: the same program would give other bits once it is hot.
 *
 * <p>With n the nearest integer to x/ln 2 and r = x − n·ln 2, eˣ = 2ⁿ·eʳ with eʳ by its Taylor polynomial; 2ⁿ is added to
 * the exponent's bits. Below −85.8 the result is 0.
 */
final class Exponential {
  private static final float LOWEST = -85.8f;
  private static final FloatVector HIGH = vector(89);
  private static final FloatVector LOW = vector(LOWEST);
  private static final FloatVector LOG2_E = vector(1.4426950408889634);

  /** 1.5·2²³: adding it rounds to an integer, which then stands in the lowest bits. */
  private static final FloatVector ROUND = vector(12582912);

  /** ln 2 in two parts, the first with so few bits that its product with n is exact. */
  private static final FloatVector MINUS_LN2_HIGH = vector(-0.693359375);

  private static final FloatVector MINUS_LN2_LOW = vector(2.12194440054690583e-4);
  private static final FloatVector C0 = vector(1);
  private static final FloatVector C2 = vector(1 / 2.0);
  private static final FloatVector C3 = vector(1 / 6.0);
  private static final FloatVector C4 = vector(1 / 24.0);
  private static final FloatVector C5 = vector(1 / 120.0);
  private static final FloatVector C6 = vector(1 / 720.0);
  private static final FloatVector C7 = vector(1 / 5040.0);

  private Exponential() {}

  private static FloatVector vector(double value) {
    return FloatVector.broadcast(SPECIES, (float) value);
  }

  static FloatVector of(FloatVector x) {
    FloatVector bounded = x.min(HIGH).max(LOW);
    FloatVector rounded = bounded.fma(LOG2_E, ROUND);
    FloatVector n = rounded.sub(ROUND);
    FloatVector r = n.fma(MINUS_LN2_LOW, n.fma(MINUS_LN2_HIGH, bounded));
    FloatVector p = C7.fma(r, C6).fma(r, C5).fma(r, C4).fma(r, C3).fma(r, C2).fma(r, C0).fma(r, C0);
    // 2ⁿ⁻¹, then twice: n may be 128, one more than an exponent can hold.
    IntVector exponent = rounded.reinterpretAsInts().lanewise(LSHL, 23).sub(1 << 23);
    FloatVector y = p.reinterpretAsInts().add(exponent).reinterpretAsFloats().mul(2);
    return y.blend(0, x.compare(LT, LOWEST)).blend(x, x.compare(NE, x));
  }
}
