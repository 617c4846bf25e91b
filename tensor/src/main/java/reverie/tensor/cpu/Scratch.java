// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import java.lang.foreign.Arena;

/**
 * Working memory of one thread, used like a stack: take, work, release to the mark.
 *
 * <p>Kernels need packed panels and address tables that live for one chunk only. Blocks are kept
 * for the life of the thread, so a training step allocates nothing here after the first; they are
 * large pages, because points of convolutions lie far apart.
 */
final class Scratch {
  private static final ThreadLocal<Scratch> MINE =
      ThreadLocal.withInitial(() -> new Scratch(Arena.ofAuto()));

  private final Arena arena;
  private long[] starts = new long[0];
  private long[] sizes = new long[0];
  private int block = -1;
  private long used;

  /** Working memory that lives as long as the arena. */
  Scratch(Arena arena) {
    this.arena = arena;
  }

  static Scratch mine() {
    return MINE.get();
  }

  /** Runs {@code body} with other working memory in place of this thread's. */
  static void with(Scratch other, Runnable body) {
    Scratch own = MINE.get();
    MINE.set(other);
    try {
      body.run();
    } finally {
      MINE.set(own);
    }
  }

  /** A mark to give back to {@link #release}. */
  long mark() {
    return ((long) (block + 1) << 40) | used;
  }

  void release(long mark) {
    block = (int) (mark >>> 40) - 1;
    used = mark & ((1L << 40) - 1);
  }

  /** The address of {@code bytes} bytes, 64-byte aligned, of unspecified content. */
  long take(long bytes) {
    long size = (bytes + 127) & ~63L;
    while (block < 0 || used + size > sizes[block]) {
      block++;
      used = 0;
      if (block == starts.length) {
        grow((size + Pages.LARGE - 1) / Pages.LARGE * Pages.LARGE);
      }
    }
    long address = starts[block] + used;
    used += size;
    return address;
  }

  long takeFloats(long count) {
    return take(4 * count);
  }

  private void grow(long size) {
    int n = starts.length;
    starts = java.util.Arrays.copyOf(starts, n + 1);
    sizes = java.util.Arrays.copyOf(sizes, n + 1);
    starts[n] = Pages.allocate(arena, size);
    sizes[n] = size;
  }
}
