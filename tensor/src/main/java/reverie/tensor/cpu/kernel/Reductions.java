// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.set;

import java.util.Arrays;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Operand;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.AveragePool;
import reverie.tensor.op.GaussianLogProb;
import reverie.tensor.op.Reduce;

/**
 * Sums and maxima over any axes.
 *
 * <p>The axes are brought into the form [outer, reduced, inner]. Sums go in short float32 runs
 * whose results are added in float64 in a fixed order, so neither length nor number of threads
 * costs precision or repeatability.
 */
public abstract class Reductions implements ReductionKernels {
  /** Elements, or rows, that are summed in float32. */
  protected static final int RUN = 512;

  /** Elements of a task of a long sum. */
  private static final int TASK = 1 << 15;

  /** The sum of neighbouring elements. */
  protected abstract double sum(long from, int count);

  /** The sum of the squares of neighbouring elements. */
  protected abstract double squares(long from, int count);

  /** The largest of neighbouring elements. */
  protected abstract float max(long from, int count);

  /** to[columns]: the sum of, or the largest in, each column of [rows, columns], in float32. */
  protected abstract void columns(boolean max, long from, long to, int rows, int columns);

  /** output[n]: each sample's sum of (a − b)². */
  protected abstract void squaredDistances(Parallel parallel, Tensor a, Tensor b, Tensor output);

  /** to[c] = scale · the sum over factor × factor pixels, whose rows are so many bytes apart. */
  protected abstract void pool(long corner, long rowBytes, int factor, int c, float scale, long to);

  @Override
  public void reduce(Parallel parallel, Reduce op, Tensor[] inputs, Tensor[] outputs) {
    Tensor input = inputs[0];
    Tensor output = outputs[0];
    try (Scratch scratch = Scratch.frame()) {
      long x = Memory.address(input);
      long y = Memory.address(output);
      Shape shape = input.shape();
      boolean[] reduced = new boolean[shape.rank()];
      for (int axis : op.axes()) {
        reduced[axis] = true;
      }
      boolean max = op.kind() == Reduce.Kind.MAX;
      int first = 0;
      while (first < reduced.length && !gone(shape, reduced, first)) {
        first++;
      }
      int end = reduced.length;
      while (end > first && !gone(shape, reduced, end - 1)) {
        end--;
      }
      boolean oneGroup = true;
      for (int axis = first; axis < end; axis++) {
        oneGroup &= reduced[axis] || shape.dim(axis) == 1;
      }
      if (oneGroup) {
        reduce(
            parallel,
            max,
            x,
            y,
            size(shape, 0, first),
            size(shape, first, end),
            size(shape, end, reduced.length));
      } else {
        reordered(parallel, max, input, reduced, y, scratch);
      }
    }
  }

  private static boolean gone(Shape shape, boolean[] reduced, int axis) {
    return reduced[axis] && shape.dim(axis) != 1;
  }

  private static int size(Shape shape, int from, int to) {
    long size = 1;
    for (int axis = from; axis < to; axis++) {
      size *= shape.dim(axis);
    }
    return Math.toIntExact(size);
  }

  /** Lays the input out with the reduced axes last, then sums rows. */
  private void reordered(
      Parallel parallel, boolean max, Tensor input, boolean[] reduced, long y, Scratch scratch) {
    int rank = reduced.length;
    int[] dims = new int[rank];
    int[] strides = new int[rank];
    int at = 0;
    int outer = 1;
    for (int pass = 0; pass < 2; pass++) {
      for (int axis = 0; axis < rank; axis++) {
        if (reduced[axis] == (pass == 1)) {
          dims[at] = input.dim(axis);
          strides[at++] = input.stride(axis);
          outer *= pass == 0 ? input.dim(axis) : 1;
        }
      }
    }
    Shape shape = Shape.of(dims);
    int size = Math.toIntExact(shape.size());
    long ordered = scratch.floats(size);
    Operand operand = Operand.of(Memory.address(input), shape, strides, shape);
    parallel.parallelFor(
        Math.ceilDiv(size, TASK),
        c -> operand.gather((long) c * TASK, task(size, c), ordered + 4L * c * TASK));
    reduce(parallel, max, ordered, y, outer, outer == 0 ? 0 : size / outer, 1);
  }

  /** y[outer, inner] from x[outer, count, inner]. */
  private void reduce(
      Parallel parallel, boolean max, long x, long y, int outer, int count, int inner) {
    if (inner == 1) {
      rows(parallel, max, x, y, outer, count);
    } else {
      columns(parallel, max, x, y, outer, count, inner);
    }
  }

  private void rows(Parallel parallel, boolean max, long x, long y, int rows, int count) {
    if (rows == 1 && count > 1 << 16 && !max) {
      longRow(parallel, x, y, count);
      return;
    }
    int perTask = Math.clamp((1 << 15) / Math.max(1, count), 1, Math.max(1, rows));
    parallel.parallelFor(
        (rows + perTask - 1) / perTask,
        c -> {
          for (int row = c * perTask; row < Math.min(rows, (c + 1) * perTask); row++) {
            long from = x + 4L * row * count;
            set(y + 4L * row, max ? max(from, count) : (float) sum(from, count));
          }
        });
  }

  /** One long sum shared out. */
  private void longRow(Parallel parallel, long x, long y, int count) {
    double[] parts = new double[Math.ceilDiv(count, TASK)];
    parallel.parallelFor(parts.length, c -> parts[c] = sum(x + 4L * c * TASK, task(count, c)));
    parallel.parallelFor(1, _ -> set(y, (float) Arrays.stream(parts).sum()));
  }

  private static int task(int count, int number) {
    return Math.min(TASK, count - number * TASK);
  }

  @Override
  public void norm(Parallel parallel, Tensor input, Tensor output) {
    int count = Math.toIntExact(input.size());
    long x = Memory.address(input);
    long y = Memory.address(output);
    double[] parts = new double[Math.ceilDiv(count, TASK)];
    parallel.parallelFor(parts.length, c -> parts[c] = squares(x + 4L * c * TASK, task(count, c)));
    parallel.parallelFor(1, _ -> set(y, (float) Math.sqrt(Arrays.stream(parts).sum())));
  }

  /** first[c] and second[c]: the sums over rows of [rows, 2, c], in float64. */
  public static void pairs(Parallel parallel, long sums, int rows, int c, long first, long second) {
    int task = 64;
    parallel.parallelFor(
        (c + task - 1) / task,
        part -> {
          for (int i = part * task; i < Math.min(c, (part + 1) * task); i++) {
            double a = 0;
            double b = 0;
            for (int row = 0; row < rows; row++) {
              a += get(sums + 8L * row * c + 4L * i);
              b += get(sums + 8L * row * c + 4L * (c + i));
            }
            set(first + 4L * i, (float) a);
            set(second + 4L * i, (float) b);
          }
        });
  }

  private void columns(
      Parallel parallel, boolean max, long x, long y, int outer, int count, int inner) {
    int runs = Math.max(1, (count + RUN - 1) / RUN);
    long partial = runs == 1 ? y : Scratch.current().floats((long) outer * runs * inner);
    int perTask = Math.clamp((1 << 15) / Math.max(1L, (long) inner * Math.min(RUN, count)), 1, RUN);
    int all = outer * runs;
    parallel.parallelFor(
        (all + perTask - 1) / perTask,
        c -> {
          for (int i = c * perTask; i < Math.min(all, (c + 1) * perTask); i++) {
            int start = i % runs * RUN;
            long from = x + 4L * ((long) (i / runs) * count + start) * inner;
            columns(max, from, partial + 4L * i * inner, Math.min(RUN, count - start), inner);
          }
        });
    if (runs == 1) {
      return;
    }
    int perJoin = Math.clamp((1 << 13) / Math.max(1L, (long) runs * inner), 1, Math.max(1, outer));
    parallel.parallelFor(
        (outer + perJoin - 1) / perJoin,
        c -> {
          for (int o = c * perJoin; o < Math.min(outer, (c + 1) * perJoin); o++) {
            join(max, partial + 4L * o * runs * inner, y + 4L * o * inner, runs, inner);
          }
        });
  }

  /** to[inner] from the results of all runs. */
  public static void join(boolean max, long from, long to, int runs, int inner) {
    for (int i = 0; i < inner; i++) {
      double total = max ? Double.NEGATIVE_INFINITY : 0;
      for (int r = 0; r < runs; r++) {
        float part = get(from + 4L * ((long) r * inner + i));
        total = max ? Math.max(total, part) : total + part;
      }
      set(to + 4L * i, (float) total);
    }
  }

  @Override
  public void gaussianLogProb(
      Parallel parallel, GaussianLogProb op, Tensor[] inputs, Tensor[] outputs) {
    Tensor output = outputs[0];
    squaredDistances(parallel, inputs[0], inputs[1], output);
    int n = Math.toIntExact(output.size());
    double count = n == 0 ? 0 : (double) inputs[0].size() / n;
    long sigma = Memory.address(inputs[2]);
    long out = Memory.address(output);
    parallel.parallelFor(
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

  @Override
  public void averagePool(Parallel parallel, AveragePool op, Tensor[] inputs, Tensor[] outputs) {
    Tensor x = inputs[0];
    Tensor y = outputs[0];
    int factor = op.factor();
    float scale = 1f / (factor * factor);
    int w = y.dim(2);
    int c = y.dim(3);
    long from = Memory.address(x);
    long to = Memory.address(y);
    parallel.parallelFor(
        y.dim(0) * y.dim(1),
        i -> {
          for (int pixel = 0; pixel < w; pixel++) {
            long corner = from + 4L * ((long) i * factor * w + pixel) * factor * c;
            pool(corner, 4L * w * factor * c, factor, c, scale, to + 4L * (i * w + pixel) * c);
          }
        });
  }
}
