// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import reverie.app.data.Estimate;

class ScoresTest {
  /** By pairs of the same image: 3, 1 and 2 more, and 1 less on held-out prompts. */
  @Test
  void aChangeIsWhatTheSameImagesGain() {
    Scores before = scores(new double[] {1, 2, 3, 100}, 5, 7);
    Scores after = scores(new double[] {4, 3, 5}, 4, 6);
    Estimate change = after.change(before);
    assertEquals(2, change.mean(), 1e-12);
    assertTrue(change.low() < 2 && change.high() > 2);
    assertEquals(-1, after.heldOutChange(before).mean(), 1e-12);
    assertEquals(-2, before.change(after).mean(), 1e-12);
  }

  private static Scores scores(double[] training, double... heldOut) {
    return new Scores(training, heldOut, new double[0]);
  }
}
