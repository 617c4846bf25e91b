// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import reverie.tensor.Philox;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.RandomNormal;

/** Fills tensors with normal numbers; every row is the start of a sequence of its own. */
final class RandomNumbers {
  private static final int TASK = 4096;

  private RandomNumbers() {}

  static void normal(Parallel parallel, RandomNormal op, Tensor output) {
    int rows = output.dim(0);
    if (output.size() == 0) {
      return;
    }
    int count = Math.toIntExact(output.size() / rows);
    long out = Memory.address(output);
    int perRow = (count + TASK - 1) / TASK;
    parallel.parallelFor(
        rows * perRow,
        i -> {
          int row = i / perRow;
          int first = i % perRow * TASK;
          fill(
              op.seeds()[row],
              op.streams()[row],
              out + 4L * row * count,
              first,
              Math.min(count, first + TASK));
        });
  }

  private static void fill(long seed, long stream, long row, int first, int end) {
    int[] words = new int[4];
    for (int i = first; i < end; i += 4) {
      Philox.block(seed, stream, i / 4, words);
      for (int pair = 0; pair < 4 && i + pair < end; pair += 2) {
        double radius = Math.sqrt(-2 * Math.log(Philox.uniform(words[pair])));
        double angle = 2 * Math.PI * Philox.uniform(words[pair + 1]);
        Memory.set(row + 4L * (i + pair), (float) (radius * Math.cos(angle)));
        if (i + pair + 1 < end) {
          Memory.set(row + 4L * (i + pair + 1), (float) (radius * Math.sin(angle)));
        }
      }
    }
  }
}
