// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TeamTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void runsEveryChunkOnce(int threads) {
    try (Team parallel = new Team(threads)) {
      for (int chunks : new int[] {0, 1, 2, 7, 1000}) {
        AtomicIntegerArray runs = new AtomicIntegerArray(chunks);
        parallel.forEach(chunks, runs::incrementAndGet);
        int[] got = new int[chunks];
        Arrays.setAll(got, runs::get);
        int[] once = new int[chunks];
        Arrays.fill(once, 1);
        assertArrayEquals(once, got);
      }
    }
  }

  @Test
  void runsWorkAskedForFromInside() {
    try (Team parallel = new Team(2)) {
      AtomicInteger runs = new AtomicInteger();
      parallel.forEach(5, _ -> parallel.forEach(7, _ -> runs.incrementAndGet()));
      assertEquals(35, runs.get());
    }
  }

  @Test
  void passesOnFailuresAndGoesOnWorking() {
    try (Team parallel = new Team(2)) {
      for (int failing : new int[] {0, 50, 99}) {
        IllegalStateException error =
            assertThrows(
                IllegalStateException.class,
                () ->
                    parallel.forEach(
                        100,
                        i -> {
                          if (i == failing) {
                            throw new IllegalStateException("chunk " + i);
                          }
                        }));
        assertEquals("chunk " + failing, error.getMessage());
      }
      AtomicInteger runs = new AtomicInteger();
      parallel.forEach(100, _ -> runs.incrementAndGet());
      assertEquals(100, runs.get());
    }
  }
}
