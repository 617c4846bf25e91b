// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import java.util.List;

/** Prompts that are listed somewhere. */
record PromptList(List<String> texts) implements PromptSource {
  @Override
  public int size() {
    return texts.size();
  }

  @Override
  public Prompt get(int index) {
    return new Prompt(texts.get(index));
  }
}
