// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static jdk.incubator.vector.VectorOperators.MAX;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.mask;
import static reverie.tensor.cpu.simd.Vectors.store;

import java.util.function.IntConsumer;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.threads.Parallel;

/** Softmax of rows and its gradient. */
final class Softmaxes {
  private Softmaxes() {}

  /** Runs {@code body} for every row of a tensor; {@code work} elements of it are read or made. */
  static void rows(Parallel parallel, Tensor tensor, int work, IntConsumer body) {
    int rows = Math.toIntExact(tensor.shape().rows());
    int perTask = Math.clamp((1 << 15) / Math.max(1, work), 1, Math.max(1, rows));
    parallel.parallelFor(
        (rows + perTask - 1) / perTask,
        task -> {
          for (int row = task * perTask; row < Math.min(rows, (task + 1) * perTask); row++) {
            body.accept(row);
          }
        });
  }

  /** One row: {@code y = softmax(x)}, where y may be x. */
  static void row(long x, long y, int count) {
    float total = exponentials(x, y, count, max(x, count));
    float factor = 1 / total;
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      store(load(y + 4L * i).mul(factor), y + 4L * i);
    }
    if (i < count) {
      VectorMask<Float> rest = mask(i, count);
      store(load(y + 4L * i, rest).mul(factor), y + 4L * i, rest);
    }
  }

  private static float max(long x, int count) {
    FloatVector largest = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      largest = largest.max(load(x + 4L * i));
    }
    if (i < count) {
      VectorMask<Float> rest = mask(i, count);
      largest =
          largest.max(
              FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY)
                  .blend(load(x + 4L * i, rest), rest));
    }
    return largest.reduceLanes(MAX);
  }

  /** y = exp(x − shift). @return the sum */
  static float exponentials(long x, long y, int count, float shift) {
    FloatVector sum = FloatVector.zero(SPECIES);
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      FloatVector e = VectorMath.exp(load(x + 4L * i).sub(shift));
      store(e, y + 4L * i);
      sum = sum.add(e);
    }
    if (i < count) {
      VectorMask<Float> rest = mask(i, count);
      FloatVector e = VectorMath.exp(load(x + 4L * i, rest).sub(shift));
      store(e, y + 4L * i, rest);
      sum = sum.add(e, rest);
    }
    return VectorMath.sum(sum);
  }

  static float dot(long a, long b, int count) {
    FloatVector sum = FloatVector.zero(SPECIES);
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      sum = load(a + 4L * i).fma(load(b + 4L * i), sum);
    }
    if (i < count) {
      VectorMask<Float> rest = mask(i, count);
      sum = load(a + 4L * i, rest).fma(load(b + 4L * i, rest), sum);
    }
    return VectorMath.sum(sum);
  }

  /** dx = y·(dy − Σ y·dy), where dx may be dy. */
  static void backwardRow(long y, long dy, long dx, int count) {
    float dot = dot(y, dy, count);
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      store(load(dy + 4L * i).sub(dot).mul(load(y + 4L * i)), dx + 4L * i);
    }
    if (i < count) {
      VectorMask<Float> rest = mask(i, count);
      store(load(dy + 4L * i, rest).sub(dot).mul(load(y + 4L * i, rest)), dx + 4L * i, rest);
    }
  }
}
