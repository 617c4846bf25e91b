// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.EQ;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LT;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;

/**
 * Exponential, logarithm and sums of vectors from exactly rounded steps only.
 *
 * <p>The Vector API's own functions give other last bits while a loop is still interpreted than
 * after it has been compiled, so the same program would not give the same numbers twice; so does
 * its sum over a vector's lanes. These give the same bits always, within two units in the last
 * place. The polynomials are Chebyshev interpolations made for this purpose.
 *
 * <p>Coefficients are constants of vector type: a broadcast at each step would make the methods too
 * long to inline.
 */
final class VectorMath {
  private static final FloatVector ONE = vector(1);
  private static final FloatVector LOG2_E = vector(1.4426950408889634);
  private static final FloatVector MINUS_LN2_HIGH = vector(-0.693359375);
  private static final FloatVector MINUS_LN2_LOW = vector(2.1219444005469057e-4);
  private static final FloatVector E2 = vector(0.5);
  private static final FloatVector E3 = vector(0.16666576266288757);
  private static final FloatVector E4 = vector(0.04166655242443085);
  private static final FloatVector E5 = vector(0.008363333530724049);
  private static final FloatVector E6 = vector(0.001392637612298131);
  private static final FloatVector L3 = vector(0.3333333432674408);
  private static final FloatVector L4 = vector(-0.24999943375587463);
  private static final FloatVector L5 = vector(0.19999948143959045);
  private static final FloatVector L6 = vector(-0.1667332500219345);
  private static final FloatVector L7 = vector(0.14291875064373016);
  private static final FloatVector L8 = vector(-0.12288535386323929);
  private static final FloatVector L9 = vector(0.10915482044219971);
  private static final FloatVector L10 = vector(-0.12423323839902878);
  private static final FloatVector L11 = vector(0.11331657320261002);
  private static final FloatVector T3 = vector(-0.3333333432674408);
  private static final FloatVector T5 = vector(0.13333290815353394);
  private static final FloatVector T7 = vector(-0.053956348448991776);
  private static final FloatVector T9 = vector(0.021746186539530754);
  private static final FloatVector T11 = vector(-0.00827245693653822);
  private static final FloatVector T13 = vector(0.0022149027790874243);

  /** Adding 1.5·2²³ leaves a number rounded to an integer in the low bits. */
  private static final FloatVector ROUND = vector(12582912);

  private static final IntVector ROUND_BITS = ROUND.reinterpretAsInts();

  /** Bits of ⅔: subtracting them cuts a number into a power of two and a factor from ⅔ to 4/3. */
  private static final int TWO_THIRDS = Float.floatToRawIntBits(2f / 3);

  private static final VectorShuffle<Float> BY_1 = rotation(1);
  private static final VectorShuffle<Float> BY_2 = rotation(2);
  private static final VectorShuffle<Float> BY_4 = rotation(4);
  private static final VectorShuffle<Float> BY_8 = rotation(8);
  private static final VectorShuffle<Float> BY_16 = rotation(16);
  private static final VectorShuffle<Float> BY_32 = rotation(32);

  private VectorMath() {}

  private static FloatVector vector(double value) {
    return FloatVector.broadcast(SPECIES, (float) value);
  }

  private static VectorShuffle<Float> rotation(int by) {
    return VectorShuffle.fromOp(SPECIES, i -> (i + by) % WIDTH);
  }

  /** eˣ, with gradual underflow, infinity from 88.73 on, and NaN for NaN. */
  static FloatVector exp(FloatVector given) {
    FloatVector x = given.min(105).max(-105);
    FloatVector rounded = x.fma(LOG2_E, ROUND);
    FloatVector n = rounded.sub(ROUND);
    FloatVector r = n.fma(MINUS_LN2_HIGH, x);
    r = n.fma(MINUS_LN2_LOW, r);
    FloatVector q = E6.fma(r, E5).fma(r, E4).fma(r, E3).fma(r, E2);
    FloatVector p = r.mul(r).fma(q, r).add(ONE);
    // Two factors, because 2ⁿ alone may be no float.
    IntVector power = rounded.reinterpretAsInts().sub(ROUND_BITS);
    IntVector half = power.lanewise(ASHR, 1);
    return p.mul(twoTo(half)).mul(twoTo(power.sub(half)));
  }

  private static FloatVector twoTo(IntVector n) {
    return n.add(127).lanewise(LSHL, 23).reinterpretAsFloats();
  }

  /** ln x; −∞ for 0, NaN for negative numbers. */
  static FloatVector log(FloatVector given) {
    VectorMask<Float> small = given.compare(LT, Float.MIN_NORMAL);
    FloatVector x = given.blend(given.mul(0x1p23f), small);
    IntVector bits = x.reinterpretAsInts();
    IntVector exponent = bits.sub(TWO_THIRDS).lanewise(ASHR, 23);
    FloatVector f = bits.sub(exponent.lanewise(LSHL, 23)).reinterpretAsFloats().sub(ONE);
    FloatVector n =
        exponent.convert(jdk.incubator.vector.VectorOperators.I2F, 0).reinterpretAsFloats();
    n = n.blend(n.sub(23), small);
    FloatVector square = f.mul(f);
    FloatVector q = L11.fma(f, L10).fma(f, L9).fma(f, L8).fma(f, L7).fma(f, L6);
    q = q.fma(f, L5).fma(f, L4).fma(f, L3).mul(f).sub(E2);
    FloatVector low = square.fma(q, n.mul(MINUS_LN2_LOW).neg());
    FloatVector y = n.fma(MINUS_LN2_HIGH.neg(), f.add(low));
    y = y.blend(Float.NEGATIVE_INFINITY, given.compare(EQ, 0));
    y = y.blend(Float.NaN, given.compare(LT, 0));
    return y.blend(given, given.compare(LT, Float.POSITIVE_INFINITY).not());
  }

  /** tanh x. */
  static FloatVector tanh(FloatVector x) {
    FloatVector u = x.mul(x);
    FloatVector q = T13.fma(u, T11).fma(u, T9).fma(u, T7).fma(u, T5).fma(u, T3);
    FloatVector near = u.mul(q).fma(x, x);
    FloatVector size = x.lanewise(ABS);
    FloatVector far = ONE.sub(vector(2).div(exp(size.add(size)).add(ONE)));
    return far.blend(far.neg(), x.compare(LT, 0)).blend(near, size.compare(LT, 0.625f));
  }

  /** The sum of all lanes, halves upon each other. */
  static float sum(FloatVector given) {
    FloatVector v = given;
    if (WIDTH > 32) {
      v = v.add(v.rearrange(BY_32));
    }
    if (WIDTH > 16) {
      v = v.add(v.rearrange(BY_16));
    }
    if (WIDTH > 8) {
      v = v.add(v.rearrange(BY_8));
    }
    if (WIDTH > 4) {
      v = v.add(v.rearrange(BY_4));
    }
    if (WIDTH > 2) {
      v = v.add(v.rearrange(BY_2));
    }
    return v.add(v.rearrange(BY_1)).lane(0);
  }
}
