// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.memory;

import java.lang.foreign.Arena;
import java.util.Arrays;

/**
 * Working memory of one thread, a stack of frames: what is taken while a frame is open is given
 * back when it closes.
 *
 * {@snippet :
 * try (Scratch scratch = Scratch.frame()) {
 *   long panel = scratch.floats(count);
 * }
 * }
 *
 * <p>Kernels need packed panels and address tables that live for one block only. Memory is kept for
 * the life of the thread and a frame is no object of its own, so a training step allocates nothing
 * here after the first; it lies in large pages, because points of convolutions lie far apart.
 */
public final class Scratch implements AutoCloseable {
  private static final ThreadLocal<Scratch> CURRENT =
      ThreadLocal.withInitial(() -> new Scratch(Arena.ofAuto()));

  private final Arena arena;
  private long[] starts = new long[0];
  private long[] sizes = new long[0];
  private int slab = -1;
  private long used;

  /** Where the stack stood when each open frame was opened: slab and bytes used. */
  private long[] frames = new long[16];

  private int depth;

  /** Working memory that lives as long as the arena. */
  public Scratch(Arena arena) {
    this.arena = arena;
  }

  /** Opens a frame of this thread's working memory, to be closed by the caller. */
  public static Scratch frame() {
    Scratch scratch = CURRENT.get();
    scratch.open();
    return scratch;
  }

  /** This thread's working memory; what is taken belongs to the innermost open frame. */
  public static Scratch current() {
    return CURRENT.get();
  }

  /** Runs {@code body} with other working memory in place of this thread's. */
  public static void with(Scratch other, Runnable body) {
    Scratch own = CURRENT.get();
    CURRENT.set(other);
    try {
      body.run();
    } finally {
      CURRENT.set(own);
    }
  }

  private void open() {
    if (depth + 2 > frames.length) {
      frames = Arrays.copyOf(frames, 2 * frames.length);
    }
    frames[depth++] = slab;
    frames[depth++] = used;
  }

  /** Closes the innermost frame. */
  @Override
  public void close() {
    used = frames[--depth];
    slab = (int) frames[--depth];
  }

  /** The address of {@code bytes} bytes, 64-byte aligned, of unspecified content. */
  public long bytes(long bytes) {
    long size = (bytes + 127) & ~63L;
    while (slab < 0 || used + size > sizes[slab]) {
      slab++;
      used = 0;
      if (slab == starts.length) {
        grow((size + Pages.LARGE - 1) / Pages.LARGE * Pages.LARGE);
      }
    }
    long address = starts[slab] + used;
    used += size;
    return address;
  }

  /** The address of {@code count} floats, 64-byte aligned, of unspecified content. */
  public long floats(long count) {
    return bytes(4 * count);
  }

  private void grow(long size) {
    int n = starts.length;
    starts = Arrays.copyOf(starts, n + 1);
    sizes = Arrays.copyOf(sizes, n + 1);
    starts[n] = Pages.allocate(arena, size);
    sizes[n] = size;
  }
}
