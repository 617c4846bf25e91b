// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.IntUnaryOperator;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.IntStream;
import java.util.zip.CRC32;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/**
 * Where prompts come from: a numbered collection, so that even a hundred thousand combinations of a
 * template need no memory. Draws depend on the generator and the epoch only, never on what was
 * drawn before.
 */
public interface PromptSource {
  /** So many prompts at most tell one source from another. */
  int IDENTIFYING = 1 << 14;

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
      IntUnaryOperator order = rng.fork(epoch, round).order(size());
      for (int i = 0; i < size() && drawn.size() < count; i++) {
        drawn.add(get(order.applyAsInt(i)));
      }
    }
    return drawn;
  }

  /** All prompts in order: a view, which needs no memory. */
  default List<Prompt> all() {
    return new PromptView(this);
  }

  /**
   * Tells these prompts from others, as every checkpoint does: by their number and a checksum, of
   * all of them or, where they are very many, of some from beginning to end.
   */
  default String identity() {
    CRC32 texts = new CRC32();
    int asked = Math.min(size(), IDENTIFYING);
    for (long i = 0; i < asked; i++) {
      int index = (int) (i * size() / asked);
      texts.update((get(index).text() + "\n").getBytes(StandardCharsets.UTF_8));
    }
    return String.format(Locale.ROOT, "%d with checksum %08x", size(), texts.getValue());
  }

  /** What {@link #split} makes of a source. */
  record Split(PromptSource training, PromptSource heldOut) {}

  /**
   * Holds prompts out from training.
   *
   * @param heldOut a regular expression that is found in them
   * @throws ReverieException if it is none, or is found in all prompts or in none
   */
  default Split split(String heldOut) {
    Pattern pattern;
    try {
      pattern = Pattern.compile(heldOut);
    } catch (PatternSyntaxException e) {
      throw new ReverieException(
          "prompts: '" + heldOut + "' is no regular expression: " + e.getDescription(),
          "for example (bee|ant) or ^a cat");
    }
    boolean[] held = new boolean[size()];
    int count = 0;
    for (int i = 0; i < held.length; i++) {
      held[i] = isFound(pattern, get(i).text());
      count += held[i] ? 1 : 0;
    }
    if (count == 0 || count == held.length) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "prompts: '%s' is found in %s of %d prompts",
              heldOut,
              count == 0 ? "none" : "all",
              held.length),
          "it names those that are held out from training: some, but not all");
    }
    int[] training = new int[held.length - count];
    int[] rest = new int[count];
    int ofTraining = 0;
    int ofRest = 0;
    for (int i = 0; i < held.length; i++) {
      if (held[i]) {
        rest[ofRest++] = i;
      } else {
        training[ofTraining++] = i;
      }
    }
    return new Split(new PromptSubset(this, training), new PromptSubset(this, rest));
  }

  private static boolean isFound(Pattern pattern, String text) {
    try {
      return pattern.matcher(text).find();
    } catch (StackOverflowError e) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "prompts: '%s' is too deep an expression for a prompt of %d letters",
              pattern,
              text.length()),
          "write it without alternatives that are repeated, such as (a|b)*",
          e);
    }
  }

  /**
   * Some of these prompts.
   *
   * @param count how many; all if there are no more
   * @param rng chooses
   */
  default PromptSource limited(int count, Rng rng) {
    return count >= size()
        ? this
        : new PromptSubset(this, IntStream.range(0, count).map(rng.order(size())).toArray());
  }

  /** DDPO's 45 animals, by their names alone. */
  static PromptSource animals() {
    return template("{animal}", Map.of());
  }

  /** DDPO's animals that do something: "an ant riding a bike". */
  static PromptSource animalActivities() {
    return template("{a:animal} {activity}", Map.of());
  }

  /** The given texts, asked for as they are needed; the list must not change. */
  static PromptSource of(List<String> texts) {
    if (texts.isEmpty()) {
      throw new ReverieException(
          "prompts: expected at least one, got none", "give one prompt or more");
    }
    return new PromptList(texts);
  }

  /** The given texts. */
  static PromptSource of(String... texts) {
    return of(List.of(texts));
  }

  /**
   * A text file in UTF-8 with one prompt a line; empty lines and lines that start with {@code #}
   * are skipped. It stays on the disk, and may have any number of lines.
   *
   * @throws ReverieException if the file is missing, unreadable, not UTF-8 (with the line), or has
   *     no prompt
   */
  static PromptSource fromFile(Path file) {
    return PromptFile.read(file);
  }

  /**
   * Every combination of a template like {@code "a painting of a {animal}"} with the words of its
   * slots, which are also the metadata of the prompts. {@code {a:animal}} puts "a" or "an" before
   * the word. The slots "animal" and "activity" have words if none are given.
   *
   * @param slots for every slot's name its words
   * @throws ReverieException if a slot of the template has no words, or words have no slot
   */
  static PromptSource template(String template, Map<String, List<String>> slots) {
    return PromptTemplate.parse(template, slots);
  }
}
