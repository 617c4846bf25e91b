// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/**
 * Where prompts come from: a numbered collection, so that even a hundred thousand combinations of a
 * template need no memory. Draws depend on the generator and the epoch only, never on what was
 * drawn before.
 */
public interface PromptSource {
  /** How many prompts there are, at least one. */
  int size();

  /** The prompt with this number, from 0. */
  Prompt get(int index);

  /**
   * Draws the prompts of an epoch: without repetition until every prompt was taken, then all over
   * again.
   *
   * @param rng the run's generator for prompts
   * @param epoch the address of the draw
   * @param count how many
   */
  default List<Prompt> draw(Rng rng, long epoch, int count) {
    List<Prompt> drawn = new ArrayList<>(count);
    for (long round = 0; drawn.size() < count; round++) {
      for (int index : rng.fork(epoch, round).permutation(size())) {
        if (drawn.size() == count) {
          break;
        }
        drawn.add(get(index));
      }
    }
    return drawn;
  }

  /** All prompts in order. */
  default List<Prompt> all() {
    return java.util.stream.IntStream.range(0, size()).mapToObj(this::get).toList();
  }

  /** The given texts. */
  static PromptSource of(List<String> texts) {
    if (texts.isEmpty()) {
      throw new ReverieException(
          "prompts: expected at least one, got none", "give one prompt or more");
    }
    return new PromptList(texts.stream().map(Prompt::new).toList());
  }

  /** The given texts. */
  static PromptSource of(String... texts) {
    return of(List.of(texts));
  }

  /**
   * A text file in UTF-8 with one prompt a line; empty lines and lines that start with {@code #}
   * are skipped.
   *
   * @throws ReverieException if the file is missing, unreadable, not UTF-8 (with the line), or has
   *     no prompt
   */
  static PromptSource fromFile(Path file) {
    return PromptFile.read(file);
  }

  /**
   * Every combination of a template like {@code "a painting of a {animal}"} with the words of its
   * slots, which are also the metadata of the prompts.
   *
   * @param slots for every slot's name its words
   * @throws ReverieException if a slot of the template has no words, or words have no slot
   */
  static PromptSource template(String template, Map<String, List<String>> slots) {
    return PromptTemplate.parse(template, slots);
  }
}
