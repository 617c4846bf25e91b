// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;
import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.set;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.Reductions;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Reduce;

/** Sums and maxima: {@code elements.c}, {@code maps.c}. */
final class NativeReductions extends Reductions {
  /** Elements of a task. */
  private static final long TASK = 1 << 14;

  /** Rows that are summed in float32. */
  private static final int RUN = 256;

  /** Numbers that are a row of a sum of all numbers. */
  private static final int LINE = 128;

  /** Numbers whose squares are their distances from 0, at a time: few enough for any cache. */
  private static final int ZEROS = 4096;

  private final Kernels kernels;
  private final MemorySegment zeros = Arena.ofAuto().allocate(4L * ZEROS, 64);

  NativeReductions(Kernels kernels) {
    this.kernels = kernels;
  }

  @Override
  protected double sum(long from, int count) {
    return kernels.sum.run(from, count);
  }

  @Override
  protected double squares(long from, int count) {
    double total = 0;
    try (Scratch scratch = Scratch.frame()) {
      long part = scratch.floats(1);
      for (int start = 0; start < count; start += ZEROS) {
        int some = Math.min(ZEROS, count - start);
        kernels.squaredDistances.run(from + 4L * start, zeros.address(), part, 1, some);
        total += get(part);
      }
    }
    return total;
  }

  @Override
  protected float max(long from, int count) {
    return kernels.largest.run(from, count);
  }

  @Override
  protected void columns(boolean max, long from, long to, int rows, int columns) {
    if (max) {
      kernels.largestRows.run(from, to, rows, columns);
    } else {
      kernels.sumRows.run(from, to, rows, columns);
    }
  }

  @Override
  protected void squaredDistances(Parallel parallel, Tensor a, Tensor b, Tensor output) {
    long from = address(a);
    long minus = address(b);
    long to = address(output);
    long c = output.size() == 0 ? 0 : a.size() / output.size();
    Tasks.of(
        parallel,
        output.size(),
        Math.max(1, TASK / Math.max(1, c)),
        (first, end) -> {
          long at = 4 * first * c;
          kernels.squaredDistances.run(from + at, minus + at, to + 4 * first, end - first, c);
        });
  }

  @Override
  protected void pool(long corner, long rowBytes, int factor, int c, float scale, long to) {
    kernels.pool.run(corner, rowBytes / 4, factor, c, scale, to);
  }

  @Override
  public void reduce(Parallel parallel, Reduce op, Tensor[] inputs, Tensor[] outputs) {
    if (!sumNeighbours(parallel, op, inputs[0], outputs[0])) {
      super.reduce(parallel, op, inputs, outputs);
    }
  }

  /** Sums over neighbouring axes as sums of rows; false if this is something else. */
  private boolean sumNeighbours(Parallel parallel, Reduce op, Tensor x, Tensor y) {
    if (op.kind() != Reduce.Kind.SUM || !x.isContiguous() || x.size() == 0 || y.size() == 0) {
      return false;
    }
    int[] axes = op.axes();
    for (int i = 1; i < axes.length; i++) {
      if (axes[i] != axes[i - 1] + 1) {
        return false;
      }
    }
    long count = x.size() / y.size();
    int end = axes.length == 0 ? x.shape().rank() : axes[axes.length - 1] + 1;
    long inner = 1;
    for (int axis = end; axis < x.shape().rank(); axis++) {
      inner *= x.dim(axis);
    }
    if (y.size() == 1 && count > LINE) {
      total(parallel, address(x), count, address(y));
      return true;
    }
    if (inner > 1) {
      sumRows(parallel, address(x), y.size() / inner, count, inner, address(y));
      return true;
    }
    return false;
  }

  /** All numbers: lines of them as rows, and what is left over. */
  private void total(Parallel parallel, long from, long count, long to) {
    try (Scratch scratch = Scratch.frame()) {
      long rows = count / LINE;
      long parts = scratch.floats(LINE);
      sumRows(parallel, from, 1, rows, LINE, parts);
      parallel.parallelFor(
          1,
          _ -> {
            double sum = sum(from + 4 * rows * LINE, (int) (count - rows * LINE));
            for (int i = 0; i < LINE; i++) {
              sum += get(parts + 4L * i);
            }
            set(to, (float) sum);
          });
    }
  }

  /** to[outer, c]: down the columns of every matrix of [outer, rows, c]. */
  private void sumRows(Parallel parallel, long from, long outer, long rows, long c, long to) {
    long runs = (rows + RUN - 1) / RUN;
    try (Scratch scratch = Scratch.frame()) {
      long partial = runs == 1 ? to : scratch.floats(outer * runs * c);
      Tasks.of(
          parallel,
          outer * runs,
          Math.max(1, TASK / (Math.min(RUN, rows) * c)),
          (first, end) -> {
            for (long i = first; i < end; i++) {
              long row = i % runs * RUN;
              long at = from + 4 * (i / runs * rows + row) * c;
              kernels.sumRows.run(at, partial + 4 * i * c, Math.min(RUN, rows - row), c);
            }
          });
      if (runs > 1) {
        Tasks.of(
            parallel,
            outer,
            Math.max(1, TASK / (runs * c)),
            (first, end) -> {
              for (long i = first; i < end; i++) {
                join(false, partial + 4 * i * runs * c, to + 4 * i * c, (int) runs, (int) c);
              }
            });
      }
    }
  }
}
