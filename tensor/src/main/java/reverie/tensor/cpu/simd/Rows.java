// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.threads.Parallel;

/** Moves whole rows: joining, padding, looking up and adding up. */
public final class Rows {
  private Rows() {}

  /** Contiguous inputs joined along an axis of the output. */
  public static void concat(Parallel parallel, int axis, Tensor[] inputs, Tensor output) {
    int outer = 1;
    for (int i = 0; i < axis; i++) {
      outer *= output.dim(i);
    }
    if (outer == 0 || output.size() == 0) {
      return;
    }
    int total = Math.toIntExact(output.size() / outer);
    long to = Memory.address(output);
    int column = 0;
    for (Tensor input : inputs) {
      int count = Math.toIntExact(input.size() / outer);
      copy(parallel, Memory.address(input), count, to + 4L * column, total, outer, count);
      column += count;
    }
  }

  /** One value everywhere. */
  public static void fill(Parallel parallel, float value, Tensor output) {
    long to = Memory.address(output);
    long size = output.size();
    int chunk = 1 << 16;
    parallel.forEach(
        Math.toIntExact((size + chunk - 1) / chunk),
        c -> {
          long start = (long) c * chunk;
          Memory.fill(to + 4 * start, value, (int) Math.min(chunk, size - start));
        });
  }

  /** Zeros before and after along an axis. */
  public static void pad(Parallel parallel, int axis, int before, Tensor input, Tensor output) {
    long to = Memory.address(output);
    fill(parallel, 0, output);
    if (input.size() == 0) {
      return;
    }
    int outer = 1;
    for (int i = 0; i < axis; i++) {
      outer *= output.dim(i);
    }
    int total = Math.toIntExact(output.size() / outer);
    int count = Math.toIntExact(input.size() / outer);
    int inner = total / output.dim(axis);
    copy(parallel, Memory.address(input), count, to + 4L * before * inner, total, outer, count);
  }

  /** Copies {@code rows} rows of {@code count} elements between places with these distances. */
  private static void copy(
      Parallel parallel, long from, int fromStride, long to, int toStride, int rows, int count) {
    int perChunk = Math.clamp((1 << 15) / Math.max(1, count), 1, rows);
    parallel.forEach(
        (rows + perChunk - 1) / perChunk,
        c -> {
          for (int row = c * perChunk; row < Math.min(rows, (c + 1) * perChunk); row++) {
            Memory.copy(from + 4L * row * fromStride, to + 4L * row * toStride, count);
          }
        });
  }

  /** Rows of a table; NaN for an index outside it. */
  public static void embedding(Parallel parallel, Tensor table, Tensor indices, Tensor output) {
    int d = table.dim(1);
    long from = Memory.address(table);
    long at = Memory.address(indices);
    long to = Memory.address(output);
    int count = Math.toIntExact(indices.size());
    int rows = table.dim(0);
    int perChunk = Math.clamp((1 << 15) / Math.max(1, d), 1, Math.max(1, count));
    parallel.forEach(
        (count + perChunk - 1) / perChunk,
        c -> {
          for (int i = c * perChunk; i < Math.min(count, (c + 1) * perChunk); i++) {
            int index = Memory.getInt(at + 4L * i);
            if (index >= 0 && index < rows) {
              Memory.copy(from + 4L * index * d, to + 4L * i * d, d);
            } else {
              Memory.fill(to + 4L * i * d, Float.NaN, d);
            }
          }
        });
  }

  /** Adds rows up in a table, in the order of the indices; indices outside it are left out. */
  public static void scatter(Parallel parallel, Tensor dy, Tensor indices, Tensor output) {
    int d = output.dim(1);
    long from = Memory.address(dy);
    long at = Memory.address(indices);
    long to = Memory.address(output);
    int rows = output.dim(0);
    int count = Math.toIntExact(indices.size());
    parallel.forEach(
        1,
        _ -> {
          Memory.zero(to, 4L * rows * d);
          for (int i = 0; i < count; i++) {
            int index = Memory.getInt(at + 4L * i);
            if (index >= 0 && index < rows) {
              add(from + 4L * i * d, to + 4L * index * d, d);
            }
          }
        });
  }

  private static void add(long from, long to, int count) {
    int i = 0;
    for (; i <= count - Vectors.WIDTH; i += Vectors.WIDTH) {
      Vectors.store(Vectors.load(to + 4L * i).add(Vectors.load(from + 4L * i)), to + 4L * i);
    }
    for (; i < count; i++) {
      Memory.set(to + 4L * i, Memory.get(to + 4L * i) + Memory.get(from + 4L * i));
    }
  }
}
