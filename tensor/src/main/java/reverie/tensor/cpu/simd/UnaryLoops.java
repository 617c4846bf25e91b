// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.SQRT;
import static reverie.tensor.cpu.simd.Vectors.BYTES;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.store;

import jdk.incubator.vector.FloatVector;
import reverie.tensor.op.Unary;

/**
 * Functions of one element over whole vectors, a loop each: one loop that took the function as a
 * parameter would be boxed at every vector.
 */
final class UnaryLoops {
  private static final float SQRT_HALF = (float) Math.sqrt(0.5);

  private UnaryLoops() {}

  static void run(Unary.Kind kind, long out, long a, long bytes) {
    switch (kind) {
      case ABS -> abs(out, a, bytes);
      case ERF -> erf(out, a, bytes);
      case EXP -> exp(out, a, bytes);
      case GELU -> gelu(out, a, bytes);
      case LOG -> log(out, a, bytes);
      case LOG_SIGMOID -> logSigmoid(out, a, bytes);
      case RECIPROCAL -> reciprocal(out, a, bytes);
      case RELU -> relu(out, a, bytes);
      case SIGMOID -> sigmoid(out, a, bytes);
      case SIGN -> sign(out, a, bytes);
      case SILU -> silu(out, a, bytes);
      case SQRT -> sqrt(out, a, bytes);
      case SQUARE -> square(out, a, bytes);
      case TANH -> tanh(out, a, bytes);
      case COS, SIN -> throw new IllegalStateException("computed element by element");
    }
  }

  static void affine(long out, long a, long bytes, float scale, float shift) {
    if (shift == 0) {
      for (long i = 0; i < bytes; i += BYTES) {
        store(load(a + i).mul(scale), out + i);
      }
      return;
    }
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).mul(scale).add(shift), out + i);
    }
  }

  static float affine(float x, float scale, float shift) {
    return shift == 0 ? x * scale : x * scale + shift;
  }

  static void clamp(long out, long a, long bytes, float low, float high) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).max(low).min(high), out + i);
    }
  }

  private static void abs(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).lanewise(ABS), out + i);
    }
  }

  private static void erf(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(ErrorFunction.of(load(a + i)), out + i);
    }
  }

  private static void exp(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(VectorMath.exp(load(a + i)), out + i);
    }
  }

  private static void gelu(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      FloatVector x = load(a + i);
      store(x.mul(0.5f).mul(ErrorFunction.of(x.mul(SQRT_HALF)).add(1)), out + i);
    }
  }

  private static void log(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(VectorMath.log(load(a + i)), out + i);
    }
  }

  private static void logSigmoid(long out, long a, long bytes) {
    FloatVector one = FloatVector.broadcast(SPECIES, 1);
    for (long i = 0; i < bytes; i += BYTES) {
      FloatVector x = load(a + i);
      FloatVector e = VectorMath.exp(x.lanewise(ABS).neg());
      // ln(1+e), corrected for what was rounded off in 1+e.
      FloatVector u = e.add(one);
      FloatVector log = VectorMath.log(u).add(e.sub(u.sub(one)).div(u));
      store(x.min(0).sub(log), out + i);
    }
  }

  private static void reciprocal(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      FloatVector one = FloatVector.broadcast(SPECIES, 1);
      store(one.div(load(a + i)), out + i);
    }
  }

  private static void relu(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).max(0), out + i);
    }
  }

  private static void sigmoid(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      FloatVector one = FloatVector.broadcast(SPECIES, 1);
      store(one.div(VectorMath.exp(load(a + i).neg()).add(1)), out + i);
    }
  }

  private static void sign(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      FloatVector x = load(a + i);
      FloatVector y = x.blend(1, x.compare(GT, 0)).blend(-1, x.compare(LT, 0));
      store(y, out + i);
    }
  }

  private static void silu(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      FloatVector x = load(a + i);
      store(x.div(VectorMath.exp(x.neg()).add(1)), out + i);
    }
  }

  private static void sqrt(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(load(a + i).lanewise(SQRT), out + i);
    }
  }

  private static void square(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      FloatVector x = load(a + i);
      store(x.mul(x), out + i);
    }
  }

  private static void tanh(long out, long a, long bytes) {
    for (long i = 0; i < bytes; i += BYTES) {
      store(VectorMath.tanh(load(a + i)), out + i);
    }
  }
}
