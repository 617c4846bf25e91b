// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import java.util.Locale;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/**
 * Gives every phrase of a prompt, what stands between commas, one state: random signs that its
 * letters address. Nothing is understood, so phrases must be written as they were learnt; for
 * prompts that list exact names that is enough, and costs nothing. The empty prompt is a phrase
 * too.
 */
public final class PhraseEncoder implements PromptEncoder {
  private static final int TOKENS = 6;
  private static final int DIMENSIONS = 64;

  /** What models that were trained with it remember. */
  public static final String IDENTITY =
      String.format(Locale.ROOT, "phrases/tokens:%d/dimensions:%d", TOKENS, DIMENSIONS);

  @Override
  public String identity() {
    return IDENTITY;
  }

  @Override
  public int tokens() {
    return TOKENS;
  }

  @Override
  public int dimensions() {
    return DIMENSIONS;
  }

  @Override
  public float[] encode(String prompt) {
    String[] phrases = prompt.split(",", -1);
    if (phrases.length > TOKENS) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "prompt '%s': expected at most %d phrases, got %d",
              prompt,
              TOKENS,
              phrases.length),
          "this model knows phrases, separated by commas, as it was trained with them");
    }
    float[] states = new float[TOKENS * DIMENSIONS];
    for (int i = 0; i < phrases.length; i++) {
      Rng signs = Rng.of(0).fork(phrases[i].strip());
      for (int d = 0; d < DIMENSIONS; d++) {
        states[i * DIMENSIONS + d] = signs.uniform(d) < 0.5 ? -1 : 1;
      }
    }
    return states;
  }
}
