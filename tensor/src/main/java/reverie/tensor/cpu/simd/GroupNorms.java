// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.set;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.mask;
import static reverie.tensor.cpu.simd.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import reverie.tensor.cpu.kernel.GroupShape;
import reverie.tensor.cpu.kernel.Reductions;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;

/**
 * Group normalisation of NHWC images and its gradient, an image at a time. Sums run down the
 * channels, whole vectors of them, and are gathered into groups at the end in float64.
 */
final class GroupNorms {
  /** Pixels summed in float32 before the sum moves to float64. */
  private static final int RUN = 256;

  private GroupNorms() {}

  static void forward(
      Parallel parallel,
      GroupShape f,
      double epsilon,
      long x,
      long gamma,
      long beta,
      long y,
      long mean,
      long rstd) {
    parallel.parallelFor(
        f.n(),
        image -> {
          try (Scratch scratch = Scratch.frame()) {
            long from = x + 4L * image * f.pixels() * f.c();
            long to = y + 4L * image * f.pixels() * f.c();
            long centre = scratch.floats(f.c());
            long factor = scratch.floats(f.c());
            double[] sums = new double[f.c()];
            Memory.zero(centre, 4L * f.c());
            for (int start = 0; start < f.pixels(); start += RUN) {
              sum(
                  from + 4L * start * f.c(),
                  Math.min(RUN, f.pixels() - start),
                  f.c(),
                  factor,
                  sums);
            }
            for (int g = 0; g < f.groups(); g++) {
              float value = (float) (total(sums, g, f.width()) / f.count());
              set(mean + 4L * (image * f.groups() + g), value);
              Memory.fill(centre + 4L * g * f.width(), value, f.width());
            }
            java.util.Arrays.fill(sums, 0);
            for (int start = 0; start < f.pixels(); start += RUN) {
              squares(
                  from + 4L * start * f.c(),
                  Math.min(RUN, f.pixels() - start),
                  f.c(),
                  centre,
                  factor,
                  sums);
            }
            for (int g = 0; g < f.groups(); g++) {
              float value =
                  (float) (1 / Math.sqrt(total(sums, g, f.width()) / f.count() + epsilon));
              set(rstd + 4L * (image * f.groups() + g), value);
              for (int i = g * f.width(); i < (g + 1) * f.width(); i++) {
                set(factor + 4L * i, value * get(gamma + 4L * i));
              }
            }
            apply(from, to, f.pixels(), f.c(), centre, factor, beta);
          }
        });
  }

  private static double total(double[] sums, int group, int width) {
    double total = 0;
    for (int i = group * width; i < (group + 1) * width; i++) {
      total += sums[i];
    }
    return total;
  }

  private static void sum(long x, int rows, int c, long spare, double[] sums) {
    for (int i = 0; i < c; i += WIDTH) {
      VectorMask<Float> lanes = mask(i, c);
      FloatVector s0 = FloatVector.zero(SPECIES);
      FloatVector s1 = FloatVector.zero(SPECIES);
      int r = 0;
      for (; r < rows - 1; r += 2) {
        long at = x + 4L * ((long) r * c + i);
        s0 = s0.add(load(at, lanes));
        s1 = s1.add(load(at + 4L * c, lanes));
      }
      if (r < rows) {
        s0 = s0.add(load(x + 4L * ((long) r * c + i), lanes));
      }
      store(s0.add(s1), spare + 4L * i, lanes);
    }
    add(spare, sums);
  }

  private static void squares(long x, int rows, int c, long centre, long spare, double[] sums) {
    for (int i = 0; i < c; i += WIDTH) {
      VectorMask<Float> lanes = mask(i, c);
      FloatVector mean = load(centre + 4L * i, lanes);
      FloatVector s0 = FloatVector.zero(SPECIES);
      FloatVector s1 = FloatVector.zero(SPECIES);
      int r = 0;
      for (; r < rows - 1; r += 2) {
        long at = x + 4L * ((long) r * c + i);
        FloatVector a = load(at, lanes).sub(mean);
        FloatVector b = load(at + 4L * c, lanes).sub(mean);
        s0 = a.fma(a, s0);
        s1 = b.fma(b, s1);
      }
      if (r < rows) {
        FloatVector a = load(x + 4L * ((long) r * c + i), lanes).sub(mean);
        s0 = a.fma(a, s0);
      }
      store(s0.add(s1), spare + 4L * i, lanes);
    }
    add(spare, sums);
  }

  private static void add(long from, double[] sums) {
    for (int i = 0; i < sums.length; i++) {
      sums[i] += get(from + 4L * i);
    }
  }

  private static void apply(long x, long y, int rows, int c, long centre, long factor, long shift) {
    for (int i = 0; i < c; i += WIDTH) {
      VectorMask<Float> lanes = mask(i, c);
      FloatVector mean = load(centre + 4L * i, lanes);
      FloatVector scale = load(factor + 4L * i, lanes);
      FloatVector beta = load(shift + 4L * i, lanes);
      for (int r = 0; r < rows; r++) {
        long at = 4L * ((long) r * c + i);
        store(load(x + at, lanes).sub(mean).fma(scale, beta), y + at, lanes);
      }
    }
  }

  /** What the gradient reads and writes. */
  record Gradient(
      long x, long gamma, long mean, long rstd, long dy, long dx, long dgamma, long dbeta) {}

  static void backward(Parallel parallel, GroupShape f, Gradient g) {
    try (Scratch shared = Scratch.frame()) {
      // For each image the sums of dy and of dy·x̂ down each channel.
      long sums = shared.floats(2L * f.n() * f.c());
      parallel.parallelFor(f.n(), image -> image(f, g, image, sums + 8L * image * f.c()));
      Reductions.pairs(parallel, sums, f.n(), f.c(), g.dbeta, g.dgamma);
    }
  }

  private static void image(GroupShape f, Gradient g, int image, long sums) {
    try (Scratch scratch = Scratch.frame()) {
      long offset = 4L * image * f.pixels() * f.c();
      long centre = scratch.floats(f.c());
      long scale = scratch.floats(f.c());
      long spare = scratch.floats(2L * f.c());
      for (int group = 0; group < f.groups(); group++) {
        long at = 4L * group * f.width();
        Memory.fill(centre + at, get(g.mean + 4L * (image * f.groups() + group)), f.width());
        Memory.fill(scale + at, get(g.rstd + 4L * (image * f.groups() + group)), f.width());
      }
      double[] beta = new double[f.c()];
      double[] gamma = new double[f.c()];
      for (int start = 0; start < f.pixels(); start += RUN) {
        long at = offset + 4L * start * f.c();
        int rows = Math.min(RUN, f.pixels() - start);
        sums(g.x + at, g.dy + at, rows, f.c(), centre, scale, spare);
        add(spare, beta);
        add(spare + 4L * f.c(), gamma);
      }
      long fromDy = spare;
      long fromX = spare + 4L * f.c();
      long constant = scratch.floats(f.c());
      for (int i = 0; i < f.c(); i++) {
        set(sums + 4L * i, (float) beta[i]);
        set(sums + 4L * (f.c() + i), (float) gamma[i]);
      }
      for (int group = 0; group < f.groups(); group++) {
        double meanG = 0;
        double meanGx = 0;
        for (int i = group * f.width(); i < (group + 1) * f.width(); i++) {
          double weight = get(g.gamma + 4L * i);
          meanG += weight * beta[i] / f.count();
          meanGx += weight * gamma[i] / f.count();
        }
        float rstd = get(g.rstd + 4L * (image * f.groups() + group));
        for (int i = group * f.width(); i < (group + 1) * f.width(); i++) {
          set(fromDy + 4L * i, rstd * get(g.gamma + 4L * i));
          set(fromX + 4L * i, (float) (-rstd * (double) rstd * meanGx));
          set(constant + 4L * i, (float) (-rstd * meanG));
        }
      }
      combine(
          g.x + offset,
          g.dy + offset,
          g.dx + offset,
          f.pixels(),
          f.c(),
          centre,
          fromDy,
          fromX,
          constant);
    }
  }

  private static void sums(long x, long dy, int rows, int c, long centre, long scale, long to) {
    for (int i = 0; i < c; i += WIDTH) {
      VectorMask<Float> lanes = mask(i, c);
      FloatVector mean = load(centre + 4L * i, lanes);
      FloatVector beta = FloatVector.zero(SPECIES);
      FloatVector gamma = FloatVector.zero(SPECIES);
      for (int r = 0; r < rows; r++) {
        long at = 4L * ((long) r * c + i);
        FloatVector d = load(dy + at, lanes);
        beta = beta.add(d);
        gamma = load(x + at, lanes).sub(mean).fma(d, gamma);
      }
      store(beta, to + 4L * i, lanes);
      store(gamma.mul(load(scale + 4L * i, lanes)), to + 4L * (c + i), lanes);
    }
  }

  private static void combine(
      long x,
      long dy,
      long dx,
      int rows,
      int c,
      long centre,
      long fromDy,
      long fromX,
      long constant) {
    for (int i = 0; i < c; i += WIDTH) {
      VectorMask<Float> lanes = mask(i, c);
      FloatVector mean = load(centre + 4L * i, lanes);
      FloatVector a = load(fromDy + 4L * i, lanes);
      FloatVector b = load(fromX + 4L * i, lanes);
      FloatVector d = load(constant + 4L * i, lanes);
      for (int r = 0; r < rows; r++) {
        long at = 4L * ((long) r * c + i);
        FloatVector sum = load(dy + at, lanes).fma(a, d);
        store(load(x + at, lanes).sub(mean).fma(b, sum), dx + at, lanes);
      }
    }
  }
}
