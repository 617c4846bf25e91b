// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import java.util.AbstractList;
import java.util.RandomAccess;

/** A source as a list. */
final class PromptView extends AbstractList<Prompt> implements RandomAccess {
  private final PromptSource source;

  PromptView(PromptSource source) {
    this.source = source;
  }

  @Override
  public int size() {
    return source.size();
  }

  @Override
  public Prompt get(int index) {
    return source.get(index);
  }
}
