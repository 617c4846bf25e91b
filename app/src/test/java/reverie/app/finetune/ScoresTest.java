// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
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

  @Test
  void scoresThatAreNotWholeAreMeasuredAnew(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("evaluation-before.json");
    assertTrue(Scores.read(folder, 2).isEmpty(), "there are none");
    String whole = "{'training': [1, 2], 'heldout': [3, 4], 'recognised': [1, 0]}";
    assertTrue(reads(file, whole));
    assertTrue(reads(file, "{'training': [1, 2], 'heldout': [], 'recognised': []}"));
    for (String damaged :
        List.of(
            "{'training': [1], 'heldout': [3, 4], 'recognised': [1, 0]}",
            "{'training': [1, null], 'heldout': [3, 4], 'recognised': [1, 0]}",
            "{'training': [1, 2], 'heldout': [3], 'recognised': [1, 0]}",
            "{'training': [1, 2], 'heldout': [3, 'x'], 'recognised': [1, 0]}",
            "{'training': [1, 2], 'heldout': [3, 4], 'recognised': [1]}",
            "{'training': [1, 2",
            "[]")) {
      assertFalse(reads(file, damaged), damaged);
    }
  }

  private static boolean reads(Path file, String json) throws IOException {
    Files.writeString(file, json.replace('\'', '"'));
    return Scores.read(file.getParent(), 2).isPresent();
  }

  private static Scores scores(double[] training, double... heldOut) {
    return new Scores(training, heldOut, new double[0]);
  }
}
