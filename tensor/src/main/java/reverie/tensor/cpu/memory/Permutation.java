// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.memory;

import static reverie.tensor.cpu.memory.Memory.getInt;
import static reverie.tensor.cpu.memory.Memory.setInt;

import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * A copy of an operand whose last axis lies spread out in memory. In the order of the output every
 * element would ask for a cache line of its own, so a few neighbours of the last axis are taken
 * together, and the other axes are gone through as they lie in memory: a line stays in the cache
 * until all of it is copied.
 */
public final class Permutation {
  /** Neighbours of the last axis: they fill a line of the cache in the output. */
  private static final int LANES = 16;

  /** Times that they are copied in a task. */
  private static final int ROWS = 1 << 11;

  private final long from;
  private final int last;
  private final long lastStride;

  /** Of the other axes, the one that lies closest together at the end. */
  private final int[] dims;

  private final long[] sources;
  private final long[] targets;
  private final long rows;
  private final int tiles;

  Permutation(long from, int[] dims, long[] strides) {
    this.from = from;
    int others = dims.length - 1;
    last = dims[others];
    lastStride = strides[others];
    long[] places = new long[others];
    long size = last;
    for (int axis = others - 1; axis >= 0; axis--) {
      places[axis] = size;
      size *= dims[axis];
    }
    int[] order =
        IntStream.range(0, others)
            .boxed()
            .sorted(Comparator.comparingLong((Integer axis) -> Math.abs(strides[axis])).reversed())
            .mapToInt(Integer::intValue)
            .toArray();
    this.dims = IntStream.of(order).map(axis -> dims[axis]).toArray();
    sources = IntStream.of(order).mapToLong(axis -> 4 * strides[axis]).toArray();
    targets = IntStream.of(order).mapToLong(axis -> 4 * places[axis]).toArray();
    rows = last == 0 ? 0 : size / last;
    tiles = (last + LANES - 1) / LANES;
  }

  /** Into how many tasks it is divided. */
  public int tasks() {
    return Math.toIntExact(tiles * ((rows + ROWS - 1) / ROWS));
  }

  /** Carries out one task of a copy to a contiguous place. */
  public void run(int task, long to) {
    int lane = task % tiles * LANES;
    int lanes = Math.min(LANES, last - lane);
    long row = (long) (task / tiles) * ROWS;
    long end = Math.min(rows, row + ROWS);
    int inner = dims.length - 1;
    int[] index = new int[dims.length];
    long source = from + 4 * lane * lastStride;
    long target = to + 4L * lane;
    long rest = row;
    for (int axis = inner; axis >= 0; axis--) {
      index[axis] = (int) (rest % dims[axis]);
      rest /= dims[axis];
      source += index[axis] * sources[axis];
      target += index[axis] * targets[axis];
    }
    while (row < end) {
      int run = (int) Math.min(end - row, dims[inner] - index[inner]);
      for (int i = 0; i < run; i++) {
        copy(source, target, lanes);
        source += sources[inner];
        target += targets[inner];
      }
      row += run;
      index[inner] += run;
      for (int axis = inner; axis > 0 && index[axis] == dims[axis]; axis--) {
        source += sources[axis - 1] - dims[axis] * sources[axis];
        target += targets[axis - 1] - dims[axis] * targets[axis];
        index[axis] = 0;
        index[axis - 1]++;
      }
    }
  }

  private void copy(long source, long target, int lanes) {
    for (int i = 0; i < lanes; i++) {
      setInt(target + 4L * i, getInt(source + 4 * i * lastStride));
    }
  }
}
