// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

class PagesTest {
  @Test
  void everyByteCanBeWrittenAndIsAlignedForVectors() {
    for (long bytes : new long[] {256, Pages.LARGE - 64, Pages.LARGE, 5 * Pages.LARGE + 64}) {
      try (Arena arena = Arena.ofConfined()) {
        long at = Pages.allocate(arena, bytes);
        assertEquals(0, at % 64);
        for (long i = 0; i < bytes; i += 4) {
          Memory.set(at + i, i);
        }
        assertEquals((float) (bytes - 4), Memory.get(at + bytes - 4));
      }
    }
  }
}
