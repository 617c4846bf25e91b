// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.set;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.store;

import jdk.incubator.vector.FloatVector;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.threads.Parallel;

/** Images made larger and smaller, and the densities of whole images. */
public final class Images {
  private Images() {}

  public static void upsample(Parallel parallel, int factor, Tensor x, Tensor y) {
    int w = x.dim(2);
    int c = x.dim(3);
    long from = Memory.address(x);
    long to = Memory.address(y);
    int row = w * factor * c;
    parallel.forEach(
        x.dim(0) * x.dim(1),
        i -> {
          long first = to + 4L * i * factor * row;
          for (int pixel = 0; pixel < w; pixel++) {
            for (int repeat = 0; repeat < factor; repeat++) {
              Memory.copy(
                  from + 4L * (i * w + pixel) * c, first + 4L * (pixel * factor + repeat) * c, c);
            }
          }
          for (int repeat = 1; repeat < factor; repeat++) {
            Memory.copy(first, first + 4L * repeat * row, row);
          }
        });
  }

  public static void averagePool(Parallel parallel, int factor, Tensor x, Tensor y) {
    int w = y.dim(2);
    int c = y.dim(3);
    long from = Memory.address(x);
    long to = Memory.address(y);
    parallel.forEach(
        y.dim(0) * y.dim(1),
        i -> {
          for (int pixel = 0; pixel < w; pixel++) {
            long corner = from + 4L * ((long) i * factor * w + pixel) * factor * c;
            pool(corner, 4L * w * factor * c, factor, c, to + 4L * (i * w + pixel) * c);
          }
        });
  }

  private static void pool(long corner, long rowBytes, int factor, int c, long to) {
    float scale = 1f / (factor * factor);
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

  /** Each sample's sum of squared differences. */
  public static void squareDistances(Parallel parallel, Tensor a, Tensor b, Tensor output) {
    int n = Math.toIntExact(output.size());
    int count = n == 0 ? 0 : Math.toIntExact(a.size() / n);
    long x = Memory.address(a);
    long mean = Memory.address(b);
    long out = Memory.address(output);
    parallel.forEach(
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

  /** From squared distances, which are there already. */
  public static void gaussianLogProb(Parallel parallel, Tensor[] inputs, Tensor output) {
    int n = Math.toIntExact(output.size());
    double count = n == 0 ? 0 : (double) inputs[0].size() / n;
    long sigma = Memory.address(inputs[2]);
    long out = Memory.address(output);
    parallel.forEach(
        1,
        _ -> {
          for (int i = 0; i < n; i++) {
            double s = get(sigma + 4L * i);
            double meanSquare = get(out + 4L * i) / count;
            double logDensity =
                -0.5 * meanSquare / (s * s) - Math.log(s) - 0.5 * Math.log(2 * Math.PI);
            set(out + 4L * i, (float) logDensity);
          }
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
}
