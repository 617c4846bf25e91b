// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

/** Some prompts of a source, 4 bytes each. */
record PromptSubset(PromptSource source, int[] indices) implements PromptSource {
  @Override
  public int size() {
    return indices.length;
  }

  @Override
  public Prompt get(int index) {
    return source.get(indices[index]);
  }
}
