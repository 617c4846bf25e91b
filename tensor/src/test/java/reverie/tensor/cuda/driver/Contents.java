// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;

/**
 * What some memory held.
 *
 * @param parts bytes by their address
 */
record Contents(Map<Long, MemorySegment> parts) {
  /**
   * What memory holds now.
   *
   * @param sizes bytes of each part by its address
   */
  static Contents of(Map<Long, Long> sizes) {
    Map<Long, MemorySegment> parts = new HashMap<>();
    sizes.forEach((address, bytes) -> {
      MemorySegment copy = MemorySegment.ofArray(new byte[Math.toIntExact(bytes)]);
      parts.put(address, copy.copyFrom(at(address, bytes)));
    });
    return new Contents(parts);
  }

  private static MemorySegment at(long address, long bytes) {
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }

  /** Puts everything back. */
  void restore() {
    parts.forEach((address, copy) -> at(address, copy.byteSize()).copyFrom(copy));
  }

  /** Whether memory holds the same bits now. */
  boolean areThere() {
    return parts.entrySet().stream()
        .allMatch(
            part -> at(part.getKey(), part.getValue().byteSize()).mismatch(part.getValue()) < 0);
  }
}
