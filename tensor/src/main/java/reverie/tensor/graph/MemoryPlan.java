// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Where in one piece of memory each of many short-lived blocks lies: two that live at the same time
 * never overlap.
 *
 * <p>The largest block is placed first, each into the tightest gap that is free as long as it lives
 * (Pisarchyk and Lee 2020, "greedy by size").
 *
 * @param offsets in bytes, one for each block, multiples of the alignment
 * @param bytes of the whole
 */
record MemoryPlan(long[] offsets, long bytes) {
  /** A block of memory, needed from one moment to another, both included. */
  record Block(long bytes, int first, int last) {
    /** Never 0, so that two blocks never share an address. */
    long room(int alignment) {
      return Math.max(1, (bytes + alignment - 1) / alignment) * alignment;
    }
  }

  /** Places blocks at multiples of {@code alignment} bytes. */
  static MemoryPlan of(List<Block> blocks, int alignment) {
    long[] offsets = new long[blocks.size()];
    Placed placed = new Placed(blocks.size());
    long end = 0;
    for (int index : bySize(blocks, alignment)) {
      Block block = blocks.get(index);
      long room = block.room(alignment);
      offsets[index] = placed.tightest(block, room);
      placed.add(block, offsets[index], offsets[index] + room);
      end = Math.max(end, offsets[index] + room);
    }
    return new MemoryPlan(offsets, end);
  }

  /** Blocks with a place, in the order of their offsets: large steps have tens of thousands. */
  private static final class Placed {
    private final long[] starts;
    private final long[] ends;
    private final int[] first;
    private final int[] last;
    private int count;

    Placed(int most) {
      starts = new long[most];
      ends = new long[most];
      first = new int[most];
      last = new int[most];
    }

    /** The offset of the smallest gap with room for a block as long as it lives. */
    long tightest(Block block, long room) {
      long best = -1;
      long smallest = Long.MAX_VALUE;
      long free = 0;
      for (int i = 0; i < count; i++) {
        if (first[i] <= block.last && block.first <= last[i]) {
          long gap = starts[i] - free;
          if (gap >= room && gap < smallest) {
            best = free;
            smallest = gap;
          }
          free = Math.max(free, ends[i]);
        }
      }
      return best < 0 ? free : best;
    }

    void add(Block block, long start, long end) {
      int at = Arrays.binarySearch(starts, 0, count, start);
      at = at < 0 ? -at - 1 : at;
      for (Object column : new Object[] {starts, ends, first, last}) {
        System.arraycopy(column, at, column, at + 1, count - at);
      }
      starts[at] = start;
      ends[at] = end;
      first[at] = block.first;
      last[at] = block.last;
      count++;
    }
  }

  private static List<Integer> bySize(List<Block> blocks, int alignment) {
    return IntStream.range(0, blocks.size())
        .boxed()
        .sorted(
            Comparator.comparingLong((Integer i) -> -blocks.get(i).room(alignment))
                .thenComparing(i -> blocks.get(i).first))
        .toList();
  }
}
