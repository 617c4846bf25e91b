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
import reverie.tensor.ReverieException;

class NormalizedRewardTest {
  private static double[] of(double... scores) throws Exception {
    return new NormalizedReward(Reward.named("r", _ -> scores)).score(batch(scores.length));
  }

  private static RewardBatch batch(int size) {
    return new RewardBatch(
        new Images(new byte[size * 3], size, 1, 1, 3),
        new float[size * 3],
        Collections.nCopies(size, new Prompt("x")));
  }

  @Test
  void scoresAreInUnitsOfTheirSpread() throws Exception {
    double third = Math.sqrt(1.5);
    assertArrayEquals(new double[] {-third, 0, third}, of(1, 2, 3), 1e-12);
    assertArrayEquals(of(1, 2, 4), of(1e9 + 1e-3, 1e9 + 2e-3, 1e9 + 4e-3), 1e-3);
    assertArrayEquals(new double[] {0, 0, 0}, of(0.1, 0.1, 0.1));
    assertArrayEquals(new double[] {0}, of(7));
  }

  @Test
  void noRewardDrownsAnother() throws Exception {
    Reward large = Reward.named("large", _ -> new double[] {1e6, 2e6, 3e6});
    Reward small = Reward.named("small", _ -> new double[] {3e-6, 2e-6, 1e-6});
    var sum =
        new WeightedReward(
            List.of(
                new WeightedReward.Term(1, new NormalizedReward(large)),
                new WeightedReward.Term(1, new NormalizedReward(small))));
    assertArrayEquals(new double[3], sum.score(batch(3)), 1e-9);
    assertEquals("1.0*normalized large+1.0*normalized small", sum.name());
  }

  @Test
  void whatIsWrongIsSaidOfTheRewardBelow() {
    var error = assertThrows(ReverieException.class, () -> of(1, Double.NaN));
    assertTrue(
        error.getMessage().contains("reward r: the score of sample 1 is NaN"), error::getMessage);
    for (double huge : new double[] {1e155, -1e155, 1.1e15, Double.POSITIVE_INFINITY}) {
      assertThrows(ReverieException.class, () -> of(1, huge));
    }
  }
}
