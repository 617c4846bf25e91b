// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.set;
import static reverie.tensor.cpu.simd.Vectors.BYTES;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.Reductions;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.threads.Parallel;

/** Sums and maxima of rows and columns. */
final class SimdReductions extends Reductions {
  @Override
  protected double sum(long from, int count) {
    return total(from, count);
  }

  static double total(long from, int count) {
    double total = 0;
    for (int start = 0; start < count; start += RUN) {
      total += run(from + 4L * start, Math.min(RUN, count - start));
    }
    return total;
  }

  private static float run(long from, int count) {
    if (count < 2 * WIDTH) {
      return add(0, from, 0, count);
    }
    FloatVector sum = FloatVector.zero(SPECIES);
    FloatVector other = FloatVector.zero(SPECIES);
    int i = 0;
    for (; i <= count - 2 * WIDTH; i += 2 * WIDTH) {
      sum = sum.add(load(from + 4L * i));
      other = other.add(load(from + 4L * i + BYTES));
    }
    return add(VectorMath.sum(sum.add(other)), from, i, count);
  }

  private static float add(float sum, long from, int start, int end) {
    float total = sum;
    for (int i = start; i < end; i++) {
      total += get(from + 4L * i);
    }
    return total;
  }

  @Override
  protected double squares(long from, int count) {
    double total = 0;
    for (int start = 0; start < count; start += RUN) {
      total += squaresOfRun(from + 4L * start, Math.min(RUN, count - start));
    }
    return total;
  }

  private static float squaresOfRun(long from, int count) {
    FloatVector sum = FloatVector.zero(SPECIES);
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      FloatVector x = load(from + 4L * i);
      sum = x.fma(x, sum);
    }
    float total = VectorMath.sum(sum);
    for (; i < count; i++) {
      float x = get(from + 4L * i);
      total = Math.fma(x, x, total);
    }
    return total;
  }

  @Override
  protected float max(long from, int count) {
    FloatVector largest = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      largest = largest.max(load(from + 4L * i));
    }
    float result = largest.reduceLanes(VectorOperators.MAX);
    for (; i < count; i++) {
      result = Math.max(result, get(from + 4L * i));
    }
    return result;
  }

  @Override
  protected void columns(boolean max, long from, long to, int count, int inner) {
    int i = 0;
    for (; i <= inner - 4 * WIDTH; i += 4 * WIDTH) {
      if (max) {
        columnMax(from + 4L * i, to + 4L * i, count, inner);
        columnMax(from + 4L * i + BYTES, to + 4L * i + BYTES, count, inner);
        columnMax(from + 4L * i + 2 * BYTES, to + 4L * i + 2 * BYTES, count, inner);
        columnMax(from + 4L * i + 3 * BYTES, to + 4L * i + 3 * BYTES, count, inner);
      } else {
        columnSum4(from + 4L * i, to + 4L * i, count, inner);
      }
    }
    for (; i <= inner - WIDTH; i += WIDTH) {
      if (max) {
        columnMax(from + 4L * i, to + 4L * i, count, inner);
      } else {
        columnSum(from + 4L * i, to + 4L * i, count, inner);
      }
    }
    for (; i < inner; i++) {
      float total = max ? Float.NEGATIVE_INFINITY : 0;
      for (int r = 0; r < count; r++) {
        float value = get(from + 4L * ((long) r * inner + i));
        total = max ? Math.max(total, value) : total + value;
      }
      set(to + 4L * i, total);
    }
  }

  private static void columnSum4(long from, long to, int count, int inner) {
    FloatVector zero = FloatVector.zero(SPECIES);
    FloatVector s0 = zero;
    FloatVector s1 = zero;
    FloatVector s2 = zero;
    FloatVector s3 = zero;
    for (int r = 0; r < count; r++) {
      long at = from + 4L * r * inner;
      s0 = s0.add(load(at));
      s1 = s1.add(load(at + BYTES));
      s2 = s2.add(load(at + 2 * BYTES));
      s3 = s3.add(load(at + 3 * BYTES));
    }
    store(s0, to);
    store(s1, to + BYTES);
    store(s2, to + 2 * BYTES);
    store(s3, to + 3 * BYTES);
  }

  private static void columnSum(long from, long to, int count, int inner) {
    FloatVector sum = FloatVector.zero(SPECIES);
    for (int r = 0; r < count; r++) {
      sum = sum.add(load(from + 4L * r * inner));
    }
    store(sum, to);
  }

  private static void columnMax(long from, long to, int count, int inner) {
    FloatVector largest = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
    for (int r = 0; r < count; r++) {
      largest = largest.max(load(from + 4L * r * inner));
    }
    store(largest, to);
  }

  @Override
  protected void squaredDistances(Parallel parallel, Tensor a, Tensor b, Tensor output) {
    int n = Math.toIntExact(output.size());
    int count = n == 0 ? 0 : Math.toIntExact(a.size() / n);
    long x = Memory.address(a);
    long mean = Memory.address(b);
    long out = Memory.address(output);
    parallel.parallelFor(
        n,
        i -> {
          double total = 0;
          int run = 512;
          for (int start = 0; start < count; start += run) {
            long at = 4L * (i * (long) count + start);
            total += squares(x + at, mean + at, Math.min(run, count - start));
          }
          set(out + 4L * i, (float) total);
        });
  }

  private static float squares(long x, long mean, int count) {
    FloatVector sum = FloatVector.zero(SPECIES);
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      FloatVector d = load(x + 4L * i).sub(load(mean + 4L * i));
      sum = d.fma(d, sum);
    }
    float total = VectorMath.sum(sum);
    for (; i < count; i++) {
      float d = get(x + 4L * i) - get(mean + 4L * i);
      total = Math.fma(d, d, total);
    }
    return total;
  }

  @Override
  protected void pool(long corner, long rowBytes, int factor, int c, float scale, long to) {
    int i = 0;
    for (; i <= c - WIDTH; i += WIDTH) {
      FloatVector sum = FloatVector.zero(SPECIES);
      for (int row = 0; row < factor; row++) {
        for (int column = 0; column < factor; column++) {
          sum = sum.add(load(corner + row * rowBytes + 4L * (column * c + i)));
        }
      }
      store(sum.mul(scale), to + 4L * i);
    }
    for (; i < c; i++) {
      float sum = 0;
      for (int row = 0; row < factor; row++) {
        for (int column = 0; column < factor; column++) {
          sum += get(corner + row * rowBytes + 4L * (column * c + i));
        }
      }
      set(to + 4L * i, sum * scale);
    }
  }
}
