// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import reverie.tensor.cpu.threads.Parallel;

/** What matrix products leave to be done: partial results to be added up, or a transpose. */
final class PartialSums {
  private static final long TASK = 1 << 13;

  /** Columns that are transposed at a time. */
  private static final long COLUMNS = 256;

  private final Kernels kernels;

  PartialSums(Kernels kernels) {
    this.kernels = kernels;
  }

  /** Adds up {@code count} results of {@code size} floats each, in their order. */
  void add(Parallel parallel, long parts, int count, long size, long to) {
    parallel.parallelFor(
        Math.toIntExact((size + TASK - 1) / TASK),
        i ->
            kernels.sumParts.run(parts, count, size, i * TASK, Math.min(size, (i + 1) * TASK), to));
  }

  /** Columns of a matrix as rows of another. */
  void transpose(Parallel parallel, long from, long rows, long columns, long to) {
    parallel.parallelFor(
        Math.toIntExact((columns + COLUMNS - 1) / COLUMNS),
        i -> {
          long first = i * COLUMNS;
          kernels.transpose.run(from, rows, columns, first, Math.min(columns, first + COLUMNS), to);
        });
  }
}
