// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;

/**
 * BERT's uncased tokenizer: clean, lower-case, strip accents, split at spaces and punctuation, then
 * cut each word into the longest pieces of the vocabulary. Written here because it is small; the
 * usual library calls home and weighs 18 MB. Agrees with it on all prompts of the icons and on a
 * list of odd ones (see its test). Special tokens written out in a prompt, such as {@code [MASK]},
 * are taken as ordinary text.
 */
public final class WordPiece {
  private static final int MAX_WORD = 100;

  private final Map<String, Integer> vocabulary;
  private final int unknown;
  private final int begin;
  private final int end;

  private WordPiece(Map<String, Integer> vocabulary, String where) {
    for (String special : List.of("[UNK]", "[CLS]", "[SEP]", "[PAD]")) {
      if (!vocabulary.containsKey(special)) {
        throw new ReverieException(
            "tokenizer: " + where + ": the token " + special + " is missing",
            "expected the vocabulary of an uncased BERT");
      }
    }
    this.vocabulary = vocabulary;
    unknown = vocabulary.get("[UNK]");
    begin = vocabulary.get("[CLS]");
    end = vocabulary.get("[SEP]");
  }

  /**
   * From the content of a {@code tokenizer.json}.
   *
   * @param where it was, for errors
   */
  public static WordPiece of(JsonNode tokenizer, String where) {
    Map<String, Integer> vocabulary = new HashMap<>();
    tokenizer
        .path("model")
        .path("vocab")
        .properties()
        .forEach(piece -> vocabulary.put(piece.getKey(), piece.getValue().asInt(0)));
    return new WordPiece(vocabulary, where);
  }

  /** The token that fills up. */
  public int pad() {
    return vocabulary.get("[PAD]");
  }

  /** The token at the beginning. */
  public int begin() {
    return begin;
  }

  /** The token at the end. */
  public int end() {
    return end;
  }

  /** The first tokens, the last of them that at the end. */
  public static int[] cut(int[] ids, int length) {
    if (ids.length <= length) {
      return ids;
    }
    int[] cut = Arrays.copyOf(ids, length);
    cut[length - 1] = ids[ids.length - 1];
    return cut;
  }

  /** Token numbers with {@code [CLS]} before and {@code [SEP]} behind. */
  public int[] encode(String text) {
    List<Integer> ids = new ArrayList<>();
    ids.add(begin);
    for (String word : words(text)) {
      addPieces(word, ids);
    }
    ids.add(end);
    return ids.stream().mapToInt(Integer::intValue).toArray();
  }

  private void addPieces(String word, List<Integer> ids) {
    if (word.codePointCount(0, word.length()) > MAX_WORD) {
      ids.add(unknown);
      return;
    }
    List<Integer> pieces = new ArrayList<>();
    for (int from = 0; from < word.length(); ) {
      int to = word.length();
      Integer id = null;
      while (to > from
          && (id = vocabulary.get((from == 0 ? "" : "##") + word.substring(from, to))) == null) {
        to--;
      }
      if (id == null) {
        ids.add(unknown);
        return;
      }
      pieces.add(id);
      from = to;
    }
    ids.addAll(pieces);
  }

  private static List<String> words(String text) {
    StringBuilder spaced = new StringBuilder();
    normalize(text)
        .codePoints()
        .forEach(c -> {
          if (isPunctuation(c) || isChinese(c)) {
            spaced.append(' ').appendCodePoint(c).append(' ');
          } else {
            spaced.appendCodePoint(isSpace(c) ? ' ' : c);
          }
        });
    return List.of(spaced.toString().strip().split(" +")).stream()
        .filter(word -> !word.isEmpty())
        .toList();
  }

  private static String normalize(String text) {
    StringBuilder clean = new StringBuilder();
    text.codePoints().filter(c -> isSpace(c) || !isControl(c)).forEach(clean::appendCodePoint);
    StringBuilder bare = new StringBuilder();
    Normalizer.normalize(clean, Normalizer.Form.NFD)
        .codePoints()
        .filter(c -> Character.getType(c) != Character.NON_SPACING_MARK)
        .forEach(bare::appendCodePoint);
    return bare.toString().toLowerCase(Locale.ROOT);
  }

  private static boolean isSpace(int c) {
    return c == '\t'
        || c == '\n'
        || c == '\r'
        || Character.isWhitespace(c)
        || Character.isSpaceChar(c);
  }

  private static boolean isControl(int c) {
    return c == 0xFFFD
        || switch (Character.getType(c)) {
          case Character.CONTROL,
              Character.FORMAT,
              Character.PRIVATE_USE,
              Character.SURROGATE,
              Character.UNASSIGNED ->
              true;
          default -> false;
        };
  }

  private static boolean isPunctuation(int c) {
    // All ASCII signs count, also those that Unicode calls symbols, such as $ and +.
    boolean asciiSign = c > ' ' && c < 0x7F && !Character.isLetterOrDigit(c);
    return asciiSign
        || switch (Character.getType(c)) {
          case Character.CONNECTOR_PUNCTUATION,
              Character.DASH_PUNCTUATION,
              Character.START_PUNCTUATION,
              Character.END_PUNCTUATION,
              Character.INITIAL_QUOTE_PUNCTUATION,
              Character.FINAL_QUOTE_PUNCTUATION,
              Character.OTHER_PUNCTUATION ->
              true;
          default -> false;
        };
  }

  /**
   * The blocks of CJK ideographs that BERT splits into single characters; kana and hangul stay
   * words.
   */
  private static boolean isChinese(int c) {
    return (c >= 0x4E00 && c <= 0x9FFF)
        || (c >= 0x3400 && c <= 0x4DBF)
        || (c >= 0x20000 && c <= 0x2A6DF)
        || (c >= 0x2A700 && c <= 0x2B81F)
        || (c >= 0x2B920 && c <= 0x2CEAF)
        || (c >= 0xF900 && c <= 0xFAFF)
        || (c >= 0x2F800 && c <= 0x2FA1F);
  }
}
