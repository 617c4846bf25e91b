// SPDX-License-Identifier: Apache-2.0
package reverie.bench.measure;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reverie.tensor.ReverieException;

class RatioTest {
  @Test
  void aConstantRatioHasNoSpreadHoweverTheMachineDrifts() {
    double[] shorter = {1, 2, 10, 3};
    double[] longer = {4, 8, 40, 12};
    assertEquals(new Ratio(4, 4, 4), Ratio.of(longer, shorter));
  }

  @Test
  void theIntervalHoldsTheMedianAndShrinksWithMoreRounds() {
    Ratio few = of(9);
    Ratio many = of(81);
    assertTrue(few.low() < few.median() && few.median() < few.high(), few.toString());
    assertTrue(many.high() - many.low() < few.high() - few.low(), few + " " + many);
    assertEquals(many, of(81));
  }

  private static Ratio of(int rounds) {
    double[] longer = IntStream.range(0, rounds).mapToDouble(i -> 2 + i % 9 * 0.1).toArray();
    double[] shorter = IntStream.range(0, rounds).mapToDouble(_ -> 1).toArray();
    return Ratio.of(longer, shorter);
  }

  @Test
  void theMedianOfAnEvenNumberIsBetweenTheMiddleTwo() {
    assertEquals(2.5, Ratio.median(4, 1, 3, 2));
    assertEquals(3, Ratio.median(9, 3, 1));
  }

  @Test
  void refusesWhatIsNoPair() {
    ReverieException e =
        assertThrows(ReverieException.class, () -> Ratio.of(new double[2], new double[3]));
    assertTrue(e.getMessage().contains("got 2 and 3"), e.getMessage());
  }

  @Test
  void roundsAlternateAfterAWarmUp() {
    List<String> order = new ArrayList<>();
    Rounds rounds = Rounds.of(() -> noted(order, "a"), () -> noted(order, "b"), 2);
    assertEquals(List.of("a", "b", "b", "a"), order.subList(order.size() - 4, order.size()));
    assertTrue(order.size() > 4);
    assertEquals(2, rounds.first().length);
    assertEquals(2, rounds.second().length);
  }

  @Test
  void readsTheKernelsAccount() {
    List<String> status = List.of("Name:\tjava", "VmHWM:\t  1234 kB", "VmRSS:\t   99 kB");
    assertEquals(1234, ProcessMemory.parse(status, "VmHWM"));
    assertEquals(99, ProcessMemory.parse(status, "VmRSS"));
    assertThrows(ReverieException.class, () -> ProcessMemory.parse(status, "VmSwap"));
  }

  private static double noted(List<String> order, String name) {
    order.add(name);
    return order.size();
  }
}
