// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;

import java.util.function.DoubleUnaryOperator;
import java.util.function.UnaryOperator;
import jdk.incubator.vector.FloatVector;
import org.apache.commons.math3.special.Erf;
import org.junit.jupiter.api.Test;

class VectorMathTest {
  private static float apply(UnaryOperator<FloatVector> f, float x) {
    return f.apply(FloatVector.broadcast(SPECIES, x)).lane(0);
  }

  private static void checkRelative(
      UnaryOperator<FloatVector> f, DoubleUnaryOperator exact, double from, double to) {
    for (int i = 0; i <= 4000; i++) {
      float x = (float) (from + (to - from) * i / 4000);
      double y = exact.applyAsDouble(x);
      assertTrue(
          Math.abs(apply(f, x) - y) <= 2.5e-7 * Math.abs(y) + 1e-44,
          "at " + x + ": expected " + y + ", got " + apply(f, x));
    }
  }

  @Test
  void exponentialIsAccurate() {
    checkRelative(VectorMath::exp, Math::exp, -87.3, 88.7);
    checkRelative(VectorMath::exp, Math::exp, -1e-3, 1e-3);
  }

  @Test
  void exponentialUnderflowsAndOverflows() {
    assertEquals((float) Math.exp(-100), apply(VectorMath::exp, -100), 2e-45f);
    assertEquals(0, apply(VectorMath::exp, -200));
    assertEquals(0, apply(VectorMath::exp, Float.NEGATIVE_INFINITY));
    assertEquals(Float.POSITIVE_INFINITY, apply(VectorMath::exp, 89));
    assertEquals(Float.POSITIVE_INFINITY, apply(VectorMath::exp, Float.POSITIVE_INFINITY));
    assertTrue(Float.isNaN(apply(VectorMath::exp, Float.NaN)));
  }

  @Test
  void logarithmIsAccurate() {
    checkRelative(VectorMath::log, Math::log, 0.01, 20);
    checkRelative(VectorMath::log, Math::log, 0.999, 1.001);
    checkRelative(VectorMath::log, Math::log, 1e30, 3e38);
    checkRelative(VectorMath::log, Math::log, 1e-44, 1e-40);
  }

  @Test
  void logarithmKnowsItsBorders() {
    assertEquals(0, apply(VectorMath::log, 1));
    assertEquals(Float.NEGATIVE_INFINITY, apply(VectorMath::log, 0));
    assertEquals(Float.POSITIVE_INFINITY, apply(VectorMath::log, Float.POSITIVE_INFINITY));
    assertTrue(Float.isNaN(apply(VectorMath::log, -1)));
    assertTrue(Float.isNaN(apply(VectorMath::log, Float.NaN)));
  }

  @Test
  void hyperbolicTangentAndErrorFunctionAreAccurate() {
    checkRelative(VectorMath::tanh, Math::tanh, -12, 12);
    checkRelative(ErrorFunction::of, Erf::erf, -6, 6);
  }

  @Test
  void sumAddsEveryLane() {
    FloatVector lanes = FloatVector.zero(SPECIES).addIndex(1).add(1);
    assertEquals(Vectors.WIDTH * (Vectors.WIDTH + 1) / 2f, VectorMath.sum(lanes));
  }

  /** Interpreted at first, compiled at the end. */
  @Test
  void bitsDoNotDependOnTheCompiler() {
    FloatVector x = FloatVector.zero(SPECIES).addIndex(1).mul(0.37f).sub(1.9f);
    float first = everything(x);
    for (int i = 0; i < 20_000; i++) {
      assertEquals(first, everything(x));
    }
  }

  private static float everything(FloatVector x) {
    FloatVector e = VectorMath.exp(x);
    return VectorMath.sum(
        VectorMath.log(e.add(3)).mul(ErrorFunction.of(x)).add(VectorMath.tanh(x)));
  }
}
