// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.set;
import static reverie.tensor.cpu.simd.Vectors.BYTES;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.store;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Operand;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Reduce;

/**
 * Sums and maxima over any axes.
 *
 * <p>The axes are brought into the form [outer, reduced, inner]. Sums go in short float32 runs
 * whose results are added in float64 in a fixed order, so neither length nor number of threads
 * costs precision or repeatability.
 */
public final class Reductions {
  /** Elements, or rows, that are summed in float32. */
  private static final int RUN = 512;

  private Reductions() {}

  public static void run(Parallel parallel, Reduce op, Tensor input, Tensor output) {
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
  private static void reordered(
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
    int chunk = 1 << 15;
    parallel.forEach(
        (size + chunk - 1) / chunk,
        c ->
            operand.gather(
                (long) c * chunk, Math.min(chunk, size - c * chunk), ordered + 4L * c * chunk));
    reduce(parallel, max, ordered, y, outer, outer == 0 ? 0 : size / outer, 1);
  }

  /** y[outer, inner] from x[outer, count, inner]. */
  public static void reduce(
      Parallel parallel, boolean max, long x, long y, int outer, int count, int inner) {
    if (inner == 1) {
      rows(parallel, max, x, y, outer, count);
    } else {
      columns(parallel, max, x, y, outer, count, inner);
    }
  }

  private static void rows(Parallel parallel, boolean max, long x, long y, int rows, int count) {
    if (rows == 1 && count > 1 << 16 && !max) {
      longRow(parallel, x, y, count);
      return;
    }
    int perChunk = Math.clamp((1 << 15) / Math.max(1, count), 1, Math.max(1, rows));
    parallel.forEach(
        (rows + perChunk - 1) / perChunk,
        c -> {
          for (int row = c * perChunk; row < Math.min(rows, (c + 1) * perChunk); row++) {
            long from = x + 4L * row * count;
            set(y + 4L * row, max ? max(from, count) : (float) sum(from, count));
          }
        });
  }

  /** One long sum shared out. */
  private static void longRow(Parallel parallel, long x, long y, int count) {
    int chunk = 1 << 15;
    int chunks = (count + chunk - 1) / chunk;
    double[] parts = new double[chunks];
    parallel.forEach(
        chunks, c -> parts[c] = sum(x + 4L * c * chunk, Math.min(chunk, count - c * chunk)));
    parallel.forEach(1, _ -> set(y, (float) Arrays.stream(parts).sum()));
  }

  /** first[c] and second[c]: the sums over rows of [rows, 2, c], in float64. */
  public static void pairs(Parallel parallel, long sums, int rows, int c, long first, long second) {
    int chunk = 64;
    parallel.forEach(
        (c + chunk - 1) / chunk,
        part -> {
          for (int i = part * chunk; i < Math.min(c, (part + 1) * chunk); i++) {
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

  /** The sum of neighbouring elements. */
  public static double sum(long from, int count) {
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

  private static float max(long from, int count) {
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

  private static void columns(
      Parallel parallel, boolean max, long x, long y, int outer, int count, int inner) {
    int runs = Math.max(1, (count + RUN - 1) / RUN);
    long partial = runs == 1 ? y : Scratch.current().floats((long) outer * runs * inner);
    int perChunk =
        Math.clamp((1 << 15) / Math.max(1L, (long) inner * Math.min(RUN, count)), 1, RUN);
    int all = outer * runs;
    parallel.forEach(
        (all + perChunk - 1) / perChunk,
        c -> {
          for (int i = c * perChunk; i < Math.min(all, (c + 1) * perChunk); i++) {
            int start = i % runs * RUN;
            long from = x + 4L * ((long) (i / runs) * count + start) * inner;
            columnRun(max, from, partial + 4L * i * inner, Math.min(RUN, count - start), inner);
          }
        });
    if (runs == 1) {
      return;
    }
    int perJoin = Math.clamp((1 << 13) / Math.max(1L, (long) runs * inner), 1, Math.max(1, outer));
    parallel.forEach(
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

  private static void columnRun(boolean max, long from, long to, int count, int inner) {
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
}
