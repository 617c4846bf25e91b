// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static jdk.incubator.vector.VectorOperators.MAX;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.mask;
import static reverie.tensor.cpu.simd.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import reverie.tensor.cpu.threads.Parallel;

/** Softmax of rows and its gradient. */
public final class Softmaxes {
  private Softmaxes() {}

  public static void forward(Parallel parallel, long x, long y, int rows, int count) {
    chunks(parallel, rows, count, row -> row(x + 4L * row * count, y + 4L * row * count, count, 1));
  }

  public static void backward(Parallel parallel, long y, long dy, long dx, int rows, int count) {
    chunks(
        parallel,
        rows,
        count,
        row -> {
          long at = 4L * row * count;
          float dot = dot(y + at, dy + at, count);
          backwardRow(y + at, dy + at, dx + at, count, dot, 1);
        });
  }

  /** Work on one row. */
  public interface Row {
    void run(int row);
  }

  public static void chunks(Parallel parallel, int rows, int count, Row body) {
    int perChunk = Math.clamp((1 << 15) / Math.max(1, count), 1, Math.max(1, rows));
    parallel.forEach(
        (rows + perChunk - 1) / perChunk,
        c -> {
          for (int row = c * perChunk; row < Math.min(rows, (c + 1) * perChunk); row++) {
            body.run(row);
          }
        });
  }

  /**
   * One row: {@code y = softmax(scale·x)}, where y may be x.
   *
   * @return log Σ exp(scale·x)
   */
  public static float row(long x, long y, int count, float scale) {
    float largest = max(x, count, scale);
    float total = exponentials(x, y, count, scale, largest);
    float factor = 1 / total;
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      store(load(y + 4L * i).mul(factor), y + 4L * i);
    }
    if (i < count) {
      VectorMask<Float> rest = mask(i, count);
      store(load(y + 4L * i, rest).mul(factor), y + 4L * i, rest);
    }
    return (float) (Math.log(total) + largest);
  }

  private static float max(long x, int count, float scale) {
    FloatVector largest = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      largest = largest.max(load(x + 4L * i).mul(scale));
    }
    if (i < count) {
      VectorMask<Float> rest = mask(i, count);
      largest =
          largest.max(
              FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY)
                  .blend(load(x + 4L * i, rest).mul(scale), rest));
    }
    return largest.reduceLanes(MAX);
  }

  /** y = exp(scale·x − shift). @return the sum */
  public static float exponentials(long x, long y, int count, float scale, float shift) {
    FloatVector sum = FloatVector.zero(SPECIES);
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      FloatVector e = VectorMath.exp(load(x + 4L * i).mul(scale).sub(shift));
      store(e, y + 4L * i);
      sum = sum.add(e);
    }
    if (i < count) {
      VectorMask<Float> rest = mask(i, count);
      FloatVector e = VectorMath.exp(load(x + 4L * i, rest).mul(scale).sub(shift));
      store(e, y + 4L * i, rest);
      sum = sum.add(e, rest);
    }
    return VectorMath.sum(sum);
  }

  public static float dot(long a, long b, int count) {
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

  /** dx = scale·y·(dy − dot), where dx may be dy. */
  public static void backwardRow(long y, long dy, long dx, int count, float dot, float scale) {
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      store(load(dy + 4L * i).sub(dot).mul(load(y + 4L * i)).mul(scale), dx + 4L * i);
    }
    if (i < count) {
      VectorMask<Float> rest = mask(i, count);
      store(
          load(dy + 4L * i, rest).sub(dot).mul(load(y + 4L * i, rest)).mul(scale),
          dx + 4L * i,
          rest);
    }
  }
}
