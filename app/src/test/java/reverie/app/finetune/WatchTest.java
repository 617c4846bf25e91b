// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import reverie.app.config.FinetuneConfig;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.RewardBatch;

class WatchTest {
  /** Grey pixels, whose colourfulness is 0, beside one of the colour (255, 0, 0). */
  private static RewardBatch batch(boolean red, String... prompts) {
    float[] values = new float[3 * prompts.length];
    values[0] = red ? 1 : 0;
    return RewardBatch.of(
        values, 1, 1, 3, List.of(prompts).stream().map(text -> new Prompt(text)).toList());
  }

  /** Variances 2 and 8 of the prompts that came twice: their mean is 5. */
  @Test
  void everyEpochIsToldByItself() {
    var config = FinetuneConfig.READER.read(null, null, List.of("watch=[colourfulness]")).value();
    try (Watch watch = Watch.of(config)) {
      watch.scored(0, batch(true, "a", "b"), new double[] {1, 10});
      watch.scored(0, batch(false, "a", "b", "c"), new double[] {3, 14, 100});
      // 0.3·√(255² + 127.5²) for the red one.
      double red = 0.3 * 127.5 * Math.sqrt(5);
      assertTold(watch.take(), Math.sqrt(5), red / 5, red * 0.4);
      watch.scored(1, batch(false, "a", "a"), new double[] {0, 6});
      assertTold(watch.take(), Math.sqrt(18), 0, 0);
      assertEquals(Map.of(), watch.take());
    }
  }

  private static void assertTold(Map<String, Double> told, double... expected) {
    double[] values = {
      told.get(Watch.WITHIN),
      told.get("watched/colourfulness_mean"),
      told.get("watched/colourfulness_std")
    };
    assertArrayEquals(expected, values, 1e-9);
  }
}
