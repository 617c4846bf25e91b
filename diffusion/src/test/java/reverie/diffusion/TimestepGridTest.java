// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.diffusion.TimestepGrid.Spacing;
import reverie.tensor.ReverieException;

class TimestepGridTest {
  private static int[] of(Spacing spacing, int trainSteps, int steps, int offset) {
    return ints(TimestepGrid.of(spacing, trainSteps, steps, offset));
  }

  private static int[] ints(TimestepGrid grid) {
    return Arrays.stream(grid.timesteps()).mapToInt(t -> (int) t).toArray();
  }

  @Test
  void leadingIsThatOfDiffusers() {
    int[] fifty = of(Spacing.LEADING, 1000, 50, 1);
    assertArrayEquals(new int[] {981, 961, 941, 921}, Arrays.copyOf(fifty, 4));
    assertArrayEquals(new int[] {41, 21, 1}, Arrays.copyOfRange(fifty, 47, 50));
    assertArrayEquals(new int[] {801, 601, 401, 201, 1}, of(Spacing.LEADING, 1000, 5, 1));
    assertArrayEquals(
        new int[] {900, 800, 700, 600, 500, 400, 300, 200, 100, 0},
        of(Spacing.LEADING, 1000, 10, 0));
  }

  @Test
  void trailingAndLinspaceBeginAtTheEnd() {
    assertArrayEquals(new int[] {999, 799, 599, 399, 199}, of(Spacing.TRAILING, 1000, 5, 1));
    assertArrayEquals(new int[] {999, 666, 332}, of(Spacing.TRAILING, 1000, 3, 0));
    assertArrayEquals(new int[] {999, 749, 500, 250, 0}, of(Spacing.LINSPACE, 1000, 5, 1));
  }

  /** Where T/N·i lies halfway between two numbers, NumPy's rounding errors decide. */
  @ParameterizedTest
  @CsvSource({"16, 50860", "48, 407068", "96, 1579848", "112, 2140508", "144, 3517708"})
  void tiesOfTrailingAreThoseOfNumPy(int steps, long sum) {
    int[] timesteps = of(Spacing.TRAILING, 1000, steps, 0);
    assertEquals(sum, IntStream.range(0, steps).mapToLong(i -> (i + 1L) * timesteps[i]).sum());
  }

  @Test
  void theSolverNeverVisitsTheCleanest() {
    assertArrayEquals(
        new int[] {831, 665, 499, 333, 167},
        ints(TimestepGrid.ofSolver(Spacing.LEADING, 1000, 5, 1)));
    assertArrayEquals(
        new int[] {999, 799, 599, 400, 200},
        ints(TimestepGrid.ofSolver(Spacing.LINSPACE, 1000, 5, 0)));
    assertArrayEquals(
        new int[] {999, 799, 599, 399, 199},
        ints(TimestepGrid.ofSolver(Spacing.TRAILING, 1000, 5, 0)));
  }

  @Test
  void aFlowHasTheGridOfDiffusers() {
    assertArrayEquals(
        new double[] {1000, 857.692307692308, 602.150537634409, 8.928571428571},
        TimestepGrid.ofFlow(Spacing.LINSPACE, 1000, 4, 3).timesteps(),
        1e-9);
    assertArrayEquals(
        new double[] {1000, 667, 334, 1},
        TimestepGrid.ofFlow(Spacing.LINSPACE, 1000, 4, 1).timesteps(),
        1e-9);
    assertArrayEquals(
        new double[] {1000, 900, 750, 500},
        TimestepGrid.ofFlow(Spacing.TRAILING, 1000, 4, 3).timesteps(),
        1e-9);
    for (Spacing spacing : new Spacing[] {Spacing.LINSPACE, Spacing.TRAILING}) {
      assertEquals(1000, TimestepGrid.ofFlow(spacing, 1000, 1, 3).timestep(0));
    }
    assertThrows(ReverieException.class, () -> TimestepGrid.ofFlow(Spacing.LEADING, 1000, 4, 1));
  }

  @Test
  void everyStepGoesToTheNextOfTheGrid() {
    for (Spacing spacing : Spacing.values()) {
      for (int steps : new int[] {1, 3, 7, 30, 999}) {
        TimestepGrid grid = TimestepGrid.of(spacing, 1000, steps, 0);
        for (int i = 0; i + 1 < steps; i++) {
          assertEquals(grid.timestep(i + 1), grid.next(i));
          assertTrue(grid.timestep(i) > grid.next(i), grid::toString);
        }
        assertEquals(TimestepGrid.END, grid.next(steps - 1));
      }
    }
  }

  @Test
  void theFullGridHasEveryTimestep() {
    TimestepGrid grid = TimestepGrid.of(Spacing.LEADING, 4, 4, 0);
    assertArrayEquals(new int[] {3, 2, 1, 0}, ints(grid));
  }

  @Test
  void impossibleGridsAreRefused() {
    assertThrows(ReverieException.class, () -> of(Spacing.LEADING, 1000, 1001, 0));
    assertThrows(ReverieException.class, () -> of(Spacing.LEADING, 1000, 0, 0));
    ReverieException e = assertThrows(ReverieException.class, () -> of(Spacing.LEADING, 10, 10, 1));
    assertTrue(e.getMessage().contains("steps_offset 1"), e::getMessage);
    // A thousand timesteps are cut in a message.
    e = assertThrows(ReverieException.class, () -> of(Spacing.LEADING, 1000, 1000, 1));
    assertTrue(e.getMessage().length() < 500, e::getMessage);
  }
}
