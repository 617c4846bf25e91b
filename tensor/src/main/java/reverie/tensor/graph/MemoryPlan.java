// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import java.util.ArrayList;
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
    boolean livesWith(Block other) {
      return first <= other.last && other.first <= last;
    }

    /** Never 0, so that two blocks never share an address. */
    long room(int alignment) {
      return Math.max(1, (bytes + alignment - 1) / alignment) * alignment;
    }
  }

  /** Places blocks at multiples of {@code alignment} bytes. */
  static MemoryPlan of(List<Block> blocks, int alignment) {
    long[] offsets = new long[blocks.size()];
    List<Integer> placed = new ArrayList<>();
    long end = 0;
    for (int index : bySize(blocks, alignment)) {
      Block block = blocks.get(index);
      long best = -1;
      long tightest = Long.MAX_VALUE;
      long free = 0;
      for (int other : placed) {
        if (blocks.get(other).livesWith(block)) {
          long gap = offsets[other] - free;
          if (gap >= block.room(alignment) && gap < tightest) {
            best = free;
            tightest = gap;
          }
          free = Math.max(free, offsets[other] + blocks.get(other).room(alignment));
        }
      }
      offsets[index] = best < 0 ? free : best;
      end = Math.max(end, offsets[index] + block.room(alignment));
      insert(placed, offsets, index);
    }
    return new MemoryPlan(offsets, end);
  }

  private static List<Integer> bySize(List<Block> blocks, int alignment) {
    return IntStream.range(0, blocks.size())
        .boxed()
        .sorted(
            Comparator.comparingLong((Integer i) -> -blocks.get(i).room(alignment))
                .thenComparing(i -> blocks.get(i).first))
        .toList();
  }

  /** Keeps the list in the order of the offsets. */
  private static void insert(List<Integer> placed, long[] offsets, int index) {
    int at = placed.size();
    while (at > 0 && offsets[placed.get(at - 1)] > offsets[index]) {
      at--;
    }
    placed.add(at, index);
  }
}
