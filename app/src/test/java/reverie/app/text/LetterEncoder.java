// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

/** One token of one number: how many letters the prompt has. */
public final class LetterEncoder implements PromptEncoder {
  @Override
  public String identity() {
    return "letters";
  }

  @Override
  public int tokens() {
    return 1;
  }

  @Override
  public int dimensions() {
    return 1;
  }

  @Override
  public float[] encode(String prompt) {
    return new float[] {prompt.length()};
  }
}
