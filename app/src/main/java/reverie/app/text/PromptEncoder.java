// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

/**
 * Turns a prompt into the states that cross-attention reads. The same prompt always gives the same
 * states. The empty prompt is the unconditional one, for guidance and for prompt dropout.
 */
public interface PromptEncoder {
  /**
   * Names the encoder and everything that changes its output. A model remembers it and refuses
   * another encoder.
   *
   * @return a short text
   */
  String identity();

  /**
   * Returns the number of states a prompt has, whatever its length.
   *
   * @return rows of what {@link #encode} returns
   */
  int tokens();

  /**
   * Returns the width of a state.
   *
   * @return columns of what {@link #encode} returns
   */
  int dimensions();

  /**
   * Encodes one prompt.
   *
   * @param prompt any text, also the empty one
   * @return {@code [tokens, dimensions]}, the caller's own; unused tokens are zero
   */
  float[] encode(String prompt);
}
