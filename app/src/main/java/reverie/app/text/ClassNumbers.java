// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import java.util.Locale;
import reverie.tensor.ReverieException;

/**
 * For models that draw one of some classes: the prompt is the number of a class, from 0. The empty
 * prompt is none of them.
 *
 * @param classes how many there are
 */
public record ClassNumbers(int classes) implements PromptEncoder {
  @Override
  public String identity() {
    return String.format(Locale.ROOT, "one of %d classes", classes);
  }

  @Override
  public int tokens() {
    return 1;
  }

  @Override
  public int dimensions() {
    return classes;
  }

  /** The weight of each class: 1 for the one that is asked for. */
  @Override
  public float[] encode(String prompt) {
    float[] weights = new float[classes];
    String number = prompt.strip();
    if (!number.isEmpty()) {
      if (!number.matches("[0-9]{1,9}") || Integer.parseInt(number) >= classes) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "prompt '%s': expected the number of a class from 0 to %d",
                prompt,
                classes - 1),
            "this model takes no words; for example --prompt 0");
      }
      weights[Integer.parseInt(number)] = 1;
    }
    return weights;
  }
}
