// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static jdk.incubator.vector.VectorOperators.EQ;
import static jdk.incubator.vector.VectorOperators.GT;
import static reverie.tensor.cpu.simd.Vectors.BYTES;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.store;

import jdk.incubator.vector.FloatVector;
import reverie.tensor.op.Binary;

/** Functions of two or three elements over whole vectors, a loop each; see {@link UnaryLoops}. */
final class BinaryLoops {
  private static final float SQRT_HALF = (float) Math.sqrt(0.5);
  private static final float DENSITY_AT_ZERO = (float) (1 / Math.sqrt(2 * Math.PI));

  private BinaryLoops() {}

  static void run(Binary.Kind kind, long out, long a, long b, long bytes) {
    switch (kind) {
      case ADD -> add(out, a, b, bytes);
      case DIV -> div(out, a, b, bytes);
      case GREATER -> greater(out, a, b, bytes);
      case MAXIMUM -> maximum(out, a, b, bytes);
      case MINIMUM -> minimum(out, a, b, bytes);
      case MUL -> mul(out, a, b, bytes);
      case SUB -> sub(out, a, b, bytes);
    }
  }

  /** The same of one element each. */
  static float one(Binary.Kind kind, float a, float b) {
    return switch (kind) {
      case ADD -> a + b;
      case DIV -> a / b;
      case GREATER -> a > b ? 1 : 0;
      case MAXIMUM -> Math.max(a, b);
      case MINIMUM -> Math.min(a, b);
      case MUL -> a * b;
      case SUB -> a - b;
    };
  }

  private static void add(long out, long a, long b, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).add(load(b + i)), out + i);
    }
  }

  private static void div(long out, long a, long b, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).div(load(b + i)), out + i);
    }
  }

  private static void maximum(long out, long a, long b, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).max(load(b + i)), out + i);
    }
  }

  private static void minimum(long out, long a, long b, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).min(load(b + i)), out + i);
    }
  }

  private static void mul(long out, long a, long b, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).mul(load(b + i)), out + i);
    }
  }

  private static void sub(long out, long a, long b, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).sub(load(b + i)), out + i);
    }
  }

  private static void greater(long out, long a, long b, long bytes) {
    FloatVector zero = FloatVector.zero(SPECIES);
    for (long i = 0; i < bytes; i += BYTES) {
      store(zero.blend(1, load(a + i).compare(GT, load(b + i))), out + i);
    }
  }

  static void select(long out, long mask, long a, long b, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).blend(load(b + i), load(mask + i).compare(EQ, 0)), out + i);
    }
  }

  static void siluBackward(long out, long a, long dy, long bytes) {
    FloatVector one = FloatVector.broadcast(SPECIES, 1);
    for (long i = 0; i < bytes; i += BYTES) {
      FloatVector x = load(a + i);
      FloatVector s = one.div(VectorMath.exp(x.neg()).add(1));
      store(load(dy + i).mul(s).mul(x.mul(one.sub(s)).add(1)), out + i);
    }
  }

  static void geluBackward(long out, long a, long dy, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      FloatVector x = load(a + i);
      FloatVector bell = VectorMath.exp(x.mul(x).mul(-0.5f));
      FloatVector distribution = ErrorFunction.of(x.mul(SQRT_HALF), bell).add(1).mul(0.5f);
      store(load(dy + i).mul(x.mul(bell).mul(DENSITY_AT_ZERO).add(distribution)), out + i);
    }
  }
}
