// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import java.util.List;
import reverie.tensor.Device;
import reverie.tensor.Tensor;

/** Puts the states of prompts where a model reads them. */
public final class PromptStates {
  private PromptStates() {}

  /**
   * Encodes a batch of prompts.
   *
   * @param device where the states go, in the open scope
   * @param encoder the encoder that the model was trained with
   * @param prompts n prompts; the empty one is the unconditional
   * @return {@code [n, tokens, dimensions]}
   */
  public static Tensor of(Device device, PromptEncoder encoder, List<String> prompts) {
    return stack(device, encoder, prompts.stream().map(encoder::encode).toList());
  }

  /**
   * Stacks states that were encoded before.
   *
   * @param device where the states go, in the open scope
   * @param encoder that encoded them
   * @param states n times {@code [tokens, dimensions]}
   * @return {@code [n, tokens, dimensions]}
   */
  public static Tensor stack(Device device, PromptEncoder encoder, List<float[]> states) {
    int each = encoder.tokens() * encoder.dimensions();
    float[] all = new float[states.size() * each];
    for (int i = 0; i < states.size(); i++) {
      System.arraycopy(states.get(i), 0, all, i * each, each);
    }
    return device.tensor(all, states.size(), encoder.tokens(), encoder.dimensions());
  }
}
