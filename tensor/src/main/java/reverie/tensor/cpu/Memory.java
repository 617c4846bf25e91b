// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/**
 * Raw native memory, addressed by plain byte addresses through one global segment.
 *
 * <p>Every kernel goes through this one segment, so the compiler sees one kind of memory at every
 * call site; segments of several arenas in one process make the same loops up to ten times slower.
 * Nothing here checks bounds: the core has checked shapes before a kernel runs.
 */
final class Memory {
  static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
  static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

  /** Floats in one vector. */
  static final int WIDTH = SPECIES.length();

  /** Bytes in one vector. */
  static final long BYTES = 4L * WIDTH;

  static final ByteOrder ORDER = ByteOrder.nativeOrder();

  private Memory() {}

  static float get(long address) {
    return ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, address);
  }

  static void set(long address, float value) {
    ALL.set(ValueLayout.JAVA_FLOAT_UNALIGNED, address, value);
  }

  static int getInt(long address) {
    return ALL.get(ValueLayout.JAVA_INT_UNALIGNED, address);
  }

  static void setInt(long address, int value) {
    ALL.set(ValueLayout.JAVA_INT_UNALIGNED, address, value);
  }

  static long getLong(long address) {
    return ALL.get(ValueLayout.JAVA_LONG_UNALIGNED, address);
  }

  static void setLong(long address, long value) {
    ALL.set(ValueLayout.JAVA_LONG_UNALIGNED, address, value);
  }

  static FloatVector load(long address) {
    return FloatVector.fromMemorySegment(SPECIES, ALL, address, ORDER);
  }

  static void store(FloatVector vector, long address) {
    vector.intoMemorySegment(ALL, address, ORDER);
  }

  /** Loads the lanes of the mask; the others are 0 and their memory is not touched. */
  static FloatVector load(long address, VectorMask<Float> mask) {
    return FloatVector.fromMemorySegment(SPECIES, ALL, address, ORDER, mask);
  }

  static void store(FloatVector vector, long address, VectorMask<Float> mask) {
    vector.intoMemorySegment(ALL, address, ORDER, mask);
  }

  /** The lanes that are left of {@code count} elements from {@code start} on. */
  static VectorMask<Float> mask(int start, int count) {
    return SPECIES.indexInRange(start, count);
  }

  static FloatVector broadcast(long address) {
    return FloatVector.broadcast(SPECIES, get(address));
  }

  static void copy(long from, long to, long bytes) {
    MemorySegment.copy(ALL, from, ALL, to, bytes);
  }

  static void zero(long address, long bytes) {
    ALL.asSlice(address, bytes).fill((byte) 0);
  }
}
