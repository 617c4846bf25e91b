// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.ALL;
import static reverie.tensor.cpu.memory.Memory.get;

import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/** Loads and stores of the Vector API at plain addresses. */
final class Vectors {
  static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

  /** Floats in one vector. */
  static final int WIDTH = SPECIES.length();

  /** Bytes in one vector. */
  static final long BYTES = 4L * WIDTH;

  static final ByteOrder ORDER = ByteOrder.nativeOrder();

  private Vectors() {}

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
}
