// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import reverie.tensor.ReverieException;

class StatisticsTest {
  @Test
  void describesAsNumpyDoes() {
    Statistics s = Statistics.of(4, 1, 3, 2, 10);
    assertEquals(new Statistics(5, 4, Math.sqrt(10), 1, 2, 3, 4, 10), s);
    assertEquals(3.7, Statistics.quantile(new double[] {4, 1, 3, 2}, 0.9), 1e-12);
    assertEquals(Math.sqrt(12.5), Statistics.std(new double[] {4, 1, 3, 2, 10}, 1), 1e-12);
    assertEquals(0, Statistics.std(new double[] {4}, 1));
  }

  @Test
  void misuseIsNamed() {
    assertThrows(ReverieException.class, Statistics::of);
    assertThrows(ReverieException.class, () -> Statistics.quantile(new double[] {1}, 1.5));
  }
}
