// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

/** Words for templates, and the article before them. */
final class Words {
  /** Written with a vowel, spoken with a consonant: a unicorn, a European, a one-eyed cat. */
  private static final Pattern CONSONANT = Pattern.compile("(uni[^nm]|use|usu|eu|ewe|one|ufo).*");

  /** The other way round: an hour. */
  private static final Pattern SILENT = Pattern.compile("(hour|honest|honou?r|heir).*");

  private Words() {}

  /** The words that are shipped for a slot; empty if there are none. */
  static List<String> shipped(String slot) {
    try (InputStream in = Words.class.getResourceAsStream(slot + ".txt")) {
      return in == null
          ? List.of()
          : new String(in.readAllBytes(), StandardCharsets.UTF_8)
              .lines()
              .filter(line -> !line.startsWith("#"))
              .toList();
    } catch (IOException e) {
      throw new UncheckedIOException("a resource cannot be read", e);
    }
  }

  /** A word after "a" or "an", as it is spoken. */
  static String withArticle(String word) {
    String lower = word.toLowerCase(Locale.ROOT);
    boolean vowel =
        SILENT.matcher(lower).matches()
            || lower.matches("[aeiou].*") && !CONSONANT.matcher(lower).matches();
    return (vowel ? "an " : "a ") + word;
  }
}
