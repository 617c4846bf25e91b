// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.NormalizedReward.Spread;
import reverie.tensor.ReverieException;

class NormalizedRewardTest {
  private static double[] of(Spread spread, double... scores) throws Exception {
    return new NormalizedReward(Reward.named("r", _ -> scores), spread).score(batch(scores.length));
  }

  private static RewardBatch batch(int size) {
    return new RewardBatch(
        new Images(new byte[size * 3], size, 1, 1, 3),
        new float[size * 3],
        Collections.nCopies(size, new Prompt("x")));
  }

  @Test
  void scoresAreInUnitsOfTheSpread() throws Exception {
    assertEquals(new Spread(2, Math.sqrt(2 / 3.0)), Spread.of(1, 2, 3));
    assertArrayEquals(new double[] {-1, 0, 2.5}, of(new Spread(3, 2), 1, 3, 8));
    // However an epoch is cut into batches.
    assertArrayEquals(new double[] {2.5}, of(new Spread(3, 2), 8));
  }

  @Test
  void noRewardDrownsAnother() throws Exception {
    Reward large = Reward.named("large", _ -> new double[] {1e6, 2e6, 3e6});
    Reward small = Reward.named("small", _ -> new double[] {3e-6, 2e-6, 1e-6});
    NormalizedReward first = new NormalizedReward(large);
    NormalizedReward second = new NormalizedReward(small);
    Reward sum =
        Reward.named(
            "both",
            new WeightedReward(
                List.of(new WeightedReward.Term(1, first), new WeightedReward.Term(1, second))));
    assertEquals(List.of(first, second), NormalizedReward.within(sum));
    ReverieException early = assertThrows(ReverieException.class, () -> sum.score(batch(3)));
    assertTrue(early.getMessage().contains("reward large: there is no mean"), early::getMessage);
    for (NormalizedReward each : NormalizedReward.within(sum)) {
      each.calibrate(Spread.of(each.raw().score(batch(3))));
    }
    assertArrayEquals(new double[3], sum.score(batch(3)), 1e-9);
  }

  @Test
  void whatHasNoSpreadGivesNoUnit() {
    assertThrows(ReverieException.class, () -> Spread.of(0.1, 0.1, 0.1));
    assertThrows(ReverieException.class, () -> Spread.of(7));
    assertThrows(ReverieException.class, () -> Spread.of());
    assertThrows(ReverieException.class, () -> new Spread(1, 0));
    assertThrows(ReverieException.class, () -> new Spread(Double.NaN, 1));
  }

  @Test
  void whatIsWrongIsSaidOfTheRewardBelow() {
    Spread unit = new Spread(0, 1);
    var error = assertThrows(ReverieException.class, () -> of(unit, 1, Double.NaN));
    assertTrue(
        error.getMessage().contains("reward r: the score of sample 1 is NaN"), error::getMessage);
    for (double huge : new double[] {1e155, -1e155, 1.1e15, Double.POSITIVE_INFINITY}) {
      assertThrows(ReverieException.class, () -> of(unit, 1, huge));
    }
  }
}
