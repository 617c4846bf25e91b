// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.LE;
import static jdk.incubator.vector.VectorOperators.LT;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;

import jdk.incubator.vector.FloatVector;

/**
 * The error function of vectors: an odd polynomial up to 1, beyond it 1 − exp(−x²)·polynomial; both
 * are Chebyshev interpolations made for this purpose. The error stays below 2e-7.
 */
final class ErrorFunction {
  private static final FloatVector ONE = vector(1);
  private static final FloatVector N0 = vector(1.1283791065216064);
  private static final FloatVector N1 = vector(-0.3761262595653534);
  private static final FloatVector N2 = vector(0.11283594369888306);
  private static final FloatVector N3 = vector(-0.02685421146452427);
  private static final FloatVector N4 = vector(0.005189087241888046);
  private static final FloatVector N5 = vector(-0.000801686430349946);
  private static final FloatVector N6 = vector(7.875874871388078e-05);
  private static final FloatVector F0 = vector(0.25539565086364746);
  private static final FloatVector F1 = vector(-0.10679621249437332);
  private static final FloatVector F2 = vector(0.041803304105997086);
  private static final FloatVector F3 = vector(-0.015463408082723618);
  private static final FloatVector F4 = vector(0.005439292173832655);
  private static final FloatVector F5 = vector(-0.0018231581198051572);
  private static final FloatVector F6 = vector(0.0005909596220590174);
  private static final FloatVector F7 = vector(-0.0001939646463142708);
  private static final FloatVector F8 = vector(6.152370769996196e-05);
  private static final FloatVector F9 = vector(-1.4437316167459358e-05);
  private static final FloatVector F10 = vector(1.6118907524287351e-06);

  private ErrorFunction() {}

  private static FloatVector vector(double value) {
    return FloatVector.broadcast(SPECIES, (float) value);
  }

  static FloatVector of(FloatVector x) {
    return of(x, VectorMath.exp(x.mul(x).neg()));
  }

  /** Where {@code exp(−x²)} is at hand already. */
  static FloatVector of(FloatVector x, FloatVector bell) {
    FloatVector size = x.lanewise(ABS);
    FloatVector u = x.mul(x);
    FloatVector near = N6.fma(u, N5).fma(u, N4).fma(u, N3).fma(u, N2).fma(u, N1).fma(u, N0).mul(x);
    FloatVector t = size.min(4).sub(2);
    FloatVector tail = F10.fma(t, F9).fma(t, F8).fma(t, F7).fma(t, F6).fma(t, F5).fma(t, F4);
    FloatVector far = ONE.sub(tail.fma(t, F3).fma(t, F2).fma(t, F1).fma(t, F0).mul(bell));
    return far.blend(far.neg(), x.compare(LT, 0)).blend(near, size.compare(LE, 1));
  }
}
