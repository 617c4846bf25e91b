// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.app.data.SilkIcons;

class MiniLmTest {
  private static final MiniLm ENCODER = new MiniLm();

  @Test
  void identityNamesTheModelOnTheClassPath() throws IOException {
    assertEquals(MiniLm.MODEL_SHA256, MiniLm.sha256(MiniLm.resource("/all-minilm-l6-v2-q.onnx")));
    assertTrue(ENCODER.identity().contains(MiniLm.MODEL_SHA256.substring(0, 16)));
  }

  @Test
  void unusedTokensAreZero() {
    float[] states = ENCODER.encode("camera add");
    assertEquals(12 * 384, states.length);
    assertTrue(states[3 * 384] != 0);
    assertArrayEquals(new float[8 * 384], Arrays.copyOfRange(states, 4 * 384, states.length));
    assertTrue(ENCODER.encode("")[384] != 0);
  }

  @Test
  void samePromptSameBits() {
    float[] once = ENCODER.encode("camera add");
    ENCODER.encode("something else");
    assertArrayEquals(once, ENCODER.encode("camera add"));
    assertArrayEquals(once, new MiniLm().encode("  Camera ADD"));
    assertFalse(Arrays.equals(once, ENCODER.encode("add camera")));
  }

  @Test
  void statesAreAboutOne() {
    double sum = 0;
    long count = 0;
    List<String> prompts = SilkIcons.heldOut().prompts();
    for (String prompt : prompts) {
      for (float value : ENCODER.encode(prompt)) {
        sum += value * value;
        count += value == 0 ? 0 : 1;
      }
    }
    double rms = Math.sqrt(sum / count);
    assertEquals(1, rms, 0.1);
  }

  @Test
  void longPromptsAreCutAndEndAsTheyShould() {
    float[] cut = ENCODER.encode("one two three four five six seven eight nine ten eleven");
    assertArrayEquals(
        cut, ENCODER.encode("one two three four five six seven eight nine ten twelve"));
    assertTrue(cut[11 * 384] != 0);
  }
}
