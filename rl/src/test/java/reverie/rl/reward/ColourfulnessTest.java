// SPDX-License-Identifier: Apache-2.0
package reverie.rl.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.rl.prompt.Prompt;

class ColourfulnessTest {
  @Test
  void agreesWithTheFormula() {
    List<Prompt> prompts = List.of(new Prompt("grey"), new Prompt("red"), new Prompt("both"));
    float[] values = {0.2f, 0.2f, 0.2f, 0.8f, 0.8f, 0.8f, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1};
    double red = 0.3 * Math.hypot(255, 127.5);
    // Red: rg 255, yb 127.5; blue: rg 0, yb −255.
    double both = Math.hypot(127.5, 191.25) + 0.3 * Math.hypot(127.5, -63.75);
    assertArrayEquals(
        new double[] {0, red, both},
        new Colourfulness().score(RewardBatch.of(values, 1, 2, 3, prompts)),
        1e-9);
  }
}
