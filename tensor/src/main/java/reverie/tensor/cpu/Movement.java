// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import reverie.tensor.DType;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Operand;
import reverie.tensor.cpu.memory.Permutation;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Widen;

/** What moves data without computing: for every library of kernels. */
final class Movement {
  private Movement() {}

  /** Contiguous inputs joined along an axis of the output. */
  static void concat(Parallel parallel, int axis, Tensor[] inputs, Tensor output) {
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
  static void fill(Parallel parallel, float value, Tensor output) {
    long to = Memory.address(output);
    long size = output.size();
    int task = 1 << 16;
    parallel.parallelFor(
        Math.toIntExact((size + task - 1) / task),
        c -> {
          long start = (long) c * task;
          Memory.fill(to + 4 * start, value, (int) Math.min(task, size - start));
        });
  }

  /** Zeros before and after along an axis. */
  static void pad(Parallel parallel, int axis, int before, Tensor input, Tensor output) {
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
    int perTask = Math.clamp((1 << 15) / Math.max(1, count), 1, rows);
    parallel.parallelFor(
        (rows + perTask - 1) / perTask,
        c -> {
          for (int row = c * perTask; row < Math.min(rows, (c + 1) * perTask); row++) {
            Memory.copy(from + 4L * row * fromStride, to + 4L * row * toStride, count);
          }
        });
  }

  /** Numbers of 16 bits as floats, a word of two at a time. */
  static void widen(Parallel parallel, Widen op, Tensor words, Tensor output) {
    long from = Memory.address(words);
    long to = Memory.address(output);
    long count = words.size();
    long pairs = output.size() / 2;
    boolean half = op.from() == DType.F16;
    int task = 1 << 14;
    parallel.parallelFor(
        Math.toIntExact((count + task - 1) / task),
        c -> {
          long first = (long) c * task;
          long end = Math.min(count, first + task);
          if (half) {
            widenHalves(from, to, first, Math.min(end, pairs));
          } else {
            widenBfloats(from, to, first, Math.min(end, pairs));
          }
          if (end > pairs) {
            Memory.set(to + 8 * pairs, op.value(Memory.getInt(from + 4 * pairs)));
          }
        });
  }

  private static void widenBfloats(long from, long to, long first, long end) {
    for (long i = first; i < end; i++) {
      long word = Memory.getInt(from + 4 * i);
      Memory.setLong(to + 8 * i, word << 16 & 0xffff0000L | word >> 16 << 48);
    }
  }

  private static void widenHalves(long from, long to, long first, long end) {
    for (long i = first; i < end; i++) {
      int word = Memory.getInt(from + 4 * i);
      Memory.set(to + 8 * i, Float.float16ToFloat((short) word));
      Memory.set(to + 8 * i + 4, Float.float16ToFloat((short) (word >> 16)));
    }
  }

  /** Rows of a table; NaN for an index outside it. */
  static void embedding(Parallel parallel, Tensor table, Tensor indices, Tensor output) {
    int d = table.dim(1);
    long from = Memory.address(table);
    long at = Memory.address(indices);
    long to = Memory.address(output);
    int count = Math.toIntExact(indices.size());
    int rows = table.dim(0);
    int perTask = Math.clamp((1 << 15) / Math.max(1, d), 1, Math.max(1, count));
    parallel.parallelFor(
        (count + perTask - 1) / perTask,
        c -> {
          for (int i = c * perTask; i < Math.min(count, (c + 1) * perTask); i++) {
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
  static void scatter(Parallel parallel, Tensor dy, Tensor indices, Tensor output) {
    int d = output.dim(1);
    long from = Memory.address(dy);
    long at = Memory.address(indices);
    long to = Memory.address(output);
    int rows = output.dim(0);
    int count = Math.toIntExact(indices.size());
    parallel.parallelFor(
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
    for (int i = 0; i < count; i++) {
      Memory.set(to + 4L * i, Memory.get(to + 4L * i) + Memory.get(from + 4L * i));
    }
  }

  /** Copies a tensor of any strides to a contiguous one; the bits are not interpreted. */
  static void copy(Parallel parallel, Tensor from, Tensor to) {
    Operand operand = Operand.of(from, to.shape());
    long out = Memory.address(to);
    Permutation permutation = operand.permutation();
    if (permutation != null) {
      parallel.parallelFor(permutation.tasks(), i -> permutation.run(i, out));
      return;
    }
    long size = to.size();
    int task = 1 << 15;
    parallel.parallelFor(
        Math.toIntExact((size + task - 1) / task),
        i -> {
          long start = (long) i * task;
          operand.gather(start, (int) Math.min(task, size - start), out + 4 * start);
        });
  }

  /** Every pixel {@code factor} times, both ways. */
  static void upsample(Parallel parallel, int factor, Tensor x, Tensor y) {
    int w = x.dim(2);
    int c = x.dim(3);
    long from = Memory.address(x);
    long to = Memory.address(y);
    int row = w * factor * c;
    parallel.parallelFor(
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
}
