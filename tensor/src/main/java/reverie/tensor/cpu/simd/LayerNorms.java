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
import reverie.tensor.cpu.kernel.Reductions;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;

/** Layer normalisation of rows and its gradient. */
final class LayerNorms {
  /** Rows of a task; the gradients of gamma and beta are summed task by task, in order. */
  private static final int TASK = 256;

  private LayerNorms() {}

  static void forward(
      Parallel parallel,
      double epsilon,
      int rows,
      int c,
      long x,
      long gamma,
      long beta,
      long y,
      long mean,
      long rstd) {
    parallel.parallelFor(
        (rows + TASK - 1) / TASK,
        task -> {
          for (int row = task * TASK; row < Math.min(rows, (task + 1) * TASK); row++) {
            long at = x + 4L * row * c;
            float centre = (float) (SimdReductions.total(at, c) / c);
            float scale = (float) (1 / Math.sqrt(squares(at, c, centre) / c + epsilon));
            set(mean + 4L * row, centre);
            set(rstd + 4L * row, scale);
            apply(at, y + 4L * row * c, c, centre, scale, gamma, beta);
          }
        });
  }

  private static double squares(long x, int c, float centre) {
    FloatVector sum = FloatVector.zero(SPECIES);
    int i = 0;
    for (; i <= c - WIDTH; i += WIDTH) {
      FloatVector a = load(x + 4L * i).sub(centre);
      sum = a.fma(a, sum);
    }
    float total = VectorMath.sum(sum);
    for (; i < c; i++) {
      float a = get(x + 4L * i) - centre;
      total += a * a;
    }
    return total;
  }

  private static void apply(
      long x, long y, int c, float centre, float scale, long gamma, long beta) {
    int i = 0;
    for (; i <= c - WIDTH; i += WIDTH) {
      FloatVector normalised = load(x + 4L * i).sub(centre).mul(scale);
      store(normalised.fma(load(gamma + 4L * i), load(beta + 4L * i)), y + 4L * i);
    }
    if (i < c) {
      VectorMask<Float> rest = mask(i, c);
      FloatVector normalised = load(x + 4L * i, rest).sub(centre).mul(scale);
      store(
          normalised.fma(load(gamma + 4L * i, rest), load(beta + 4L * i, rest)), y + 4L * i, rest);
    }
  }

  /** What the gradient reads and writes. */
  record Gradient(
      long x, long gamma, long mean, long rstd, long dy, long dx, long dgamma, long dbeta) {}

  static void backward(Parallel parallel, int rows, int c, Gradient g) {
    try (Scratch shared = Scratch.frame()) {
      int tasks = (rows + TASK - 1) / TASK;
      long sums = shared.floats(2L * tasks * c);
      parallel.parallelFor(
          tasks,
          task -> {
            long to = sums + 8L * task * c;
            Memory.zero(to, 8L * c);
            for (int row = task * TASK; row < Math.min(rows, (task + 1) * TASK); row++) {
              long at = 4L * row * c;
              row(
                  g.x + at,
                  g.dy + at,
                  g.dx + at,
                  c,
                  get(g.mean + 4L * row),
                  get(g.rstd + 4L * row),
                  g.gamma,
                  to);
            }
          });
      Reductions.pairs(parallel, sums, tasks, c, g.dbeta, g.dgamma);
    }
  }

  private static void row(
      long x, long dy, long dx, int c, float mean, float rstd, long gamma, long sums) {
    FloatVector sumG = FloatVector.zero(SPECIES);
    FloatVector sumGx = FloatVector.zero(SPECIES);
    for (int i = 0; i < c; i += WIDTH) {
      VectorMask<Float> lanes = mask(i, c);
      FloatVector d = load(dy + 4L * i, lanes);
      FloatVector normalised = load(x + 4L * i, lanes).sub(mean).mul(rstd);
      FloatVector g = d.mul(load(gamma + 4L * i, lanes));
      sumG = sumG.add(g);
      sumGx = g.fma(normalised, sumGx);
      long beta = sums + 4L * i;
      store(load(beta, lanes).add(d), beta, lanes);
      store(d.fma(normalised, load(beta + 4L * c, lanes)), beta + 4L * c, lanes);
    }
    float meanG = VectorMath.sum(sumG) / c;
    float meanGx = VectorMath.sum(sumGx) / c;
    for (int i = 0; i < c; i += WIDTH) {
      VectorMask<Float> lanes = mask(i, c);
      FloatVector normalised = load(x + 4L * i, lanes).sub(mean).mul(rstd);
      FloatVector g = load(dy + 4L * i, lanes).mul(load(gamma + 4L * i, lanes));
      store(g.sub(meanG).sub(normalised.mul(meanGx)).mul(rstd), dx + 4L * i, lanes);
    }
  }
}
