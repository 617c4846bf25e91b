// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RangesTest {
  private static final long COLLECTED = SparkFleet.COLLECTED;

  @ParameterizedTest
  @CsvSource({"1000000, 64", "33554432, 2", "60000000, 1"})
  void theDriverTakesWhatItCan(int floats, int tasks) {
    assertEquals(new Ranges(1, floats), Ranges.of(floats, tasks, COLLECTED));
  }

  /** One executor adds what all tasks have of a range. */
  @ParameterizedTest
  @CsvSource({"100000000, 2", "860000000, 8", "860000000, 64", "860000000, 1"})
  void nobodyTakesMoreThanAFewPieces(int floats, int tasks) {
    Ranges ranges = Ranges.of(floats, tasks, COLLECTED);
    assertTrue(ranges.count() >= tasks);
    long longest = 0;
    for (int range = 0; range < ranges.count(); range++) {
      longest = Math.max(longest, ranges.start(range + 1) - ranges.start(range));
    }
    assertEquals(floats, ranges.start(ranges.count()));
    assertTrue(longest * Float.BYTES * tasks <= (128L << 20) + Float.BYTES * tasks, "" + longest);
  }

  @Test
  void noRangeIsEmpty() {
    assertEquals(new Ranges(3, 3), Ranges.of(3, 8, 0));
  }
}
