// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.memory;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import reverie.tensor.Tensor;

/**
 * Raw native memory, addressed by plain byte addresses through one global segment.
 *
 * <p>Every kernel goes through this one segment, so the compiler sees one kind of memory at every
 * call site; segments of several arenas in one process make the same loops up to ten times slower.
 * Nothing here checks bounds: the core has checked shapes before a kernel runs.
 */
public final class Memory {
  public static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  /** Fewer elements than this are copied faster by a loop than by a call of the library. */
  private static final int MIN_LIBRARY_COPY = 24;

  private Memory() {}

  /** The address of a tensor's first element. */
  public static long address(Tensor tensor) {
    return ((Pool.Block) tensor.buffer()).address() + tensor.offset() * tensor.dtype().bytes();
  }

  public static float get(long address) {
    return ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, address);
  }

  public static void set(long address, float value) {
    ALL.set(ValueLayout.JAVA_FLOAT_UNALIGNED, address, value);
  }

  public static int getInt(long address) {
    return ALL.get(ValueLayout.JAVA_INT_UNALIGNED, address);
  }

  public static void setInt(long address, int value) {
    ALL.set(ValueLayout.JAVA_INT_UNALIGNED, address, value);
  }

  public static long getLong(long address) {
    return ALL.get(ValueLayout.JAVA_LONG_UNALIGNED, address);
  }

  public static void setLong(long address, long value) {
    ALL.set(ValueLayout.JAVA_LONG_UNALIGNED, address, value);
  }

  /** Copies so many 4-byte elements. */
  public static void copy(long from, long to, int count) {
    if (count >= MIN_LIBRARY_COPY) {
      MemorySegment.copy(ALL, from, ALL, to, 4L * count);
      return;
    }
    for (int i = 0; i < count; i++) {
      setInt(to + 4L * i, getInt(from + 4L * i));
    }
  }

  /** Writes one value {@code count} times. */
  public static void fill(long to, float value, int count) {
    int written = Math.min(count, MIN_LIBRARY_COPY);
    for (int i = 0; i < written; i++) {
      set(to + 4L * i, value);
    }
    while (written < count) {
      int more = Math.min(written, count - written);
      MemorySegment.copy(ALL, to, ALL, to + 4L * written, 4L * more);
      written += more;
    }
  }

  public static void zero(long address, long bytes) {
    ALL.asSlice(address, bytes).fill((byte) 0);
  }
}
