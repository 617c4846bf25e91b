// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import java.util.List;

/** Prompts that were written down. */
record PromptList(List<Prompt> prompts) implements PromptSource {
  PromptList {
    prompts = List.copyOf(prompts);
  }

  @Override
  public int size() {
    return prompts.size();
  }

  @Override
  public Prompt get(int index) {
    return prompts.get(index);
  }
}
