// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.text;

import java.nio.file.Path;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import reverie.tensor.ReverieException;

/**
 * CLIP's tokenizer (Radford et al. 2021), with the ids of Hugging Face's {@code CLIPTokenizerFast}.
 * A text is cut at the special tokens written in it; what lies between is composed (NFC), its white
 * space made single spaces, its letters lower case, then cut at tokens that were added to the
 * vocabulary (textual inversion), and into contractions, runs of letters, single digits and runs of
 * anything else, which {@link BytePairs} encodes.
 *
 * <p>Immutable; thread-safe.
 */
public final class ClipTokenizer {
  private static final Pattern NONE = Pattern.compile("(?!)");
  private static final Pattern SPACES = Pattern.compile("\\p{IsWhite_Space}+");
  private static final Pattern WORDS =
      Pattern.compile("'s|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}|[^\\p{IsWhite_Space}\\p{L}\\p{N}]+");

  private final BytePairs pairs;
  private final Map<String, Integer> special;
  private final Pattern specialPattern;
  private final Map<String, Integer> added;
  private final Pattern addedPattern;
  private final int start;
  private final int end;
  private final int pad;
  private final int largest;
  private final int length;

  /**
   * What a tokenizer's files say.
   *
   * @param special tokens that are not cut or lower-cased when written in a text
   * @param added others that are not cut
   * @param length of every encoded text
   * @param where the files are, for errors
   */
  record Files(
      Map<String, Integer> vocabulary,
      List<BytePairs.Pair> merges,
      Map<String, Integer> special,
      Map<String, Integer> added,
      String start,
      String end,
      String pad,
      int length,
      String where) {}

  ClipTokenizer(Files files) {
    pairs = new BytePairs(files.vocabulary, files.merges, files.where);
    special = Map.copyOf(files.special);
    specialPattern = any(special.keySet());
    Map<String, Integer> lower = new HashMap<>();
    files.added.forEach((token, id) -> lower.put(normalised(token), id));
    added = Map.copyOf(lower);
    addedPattern = any(added.keySet());
    start = special.get(files.start);
    end = special.get(files.end);
    pad = special.get(files.pad);
    largest = largest(files.vocabulary.values());
    length = files.length;
    if (length < 2) {
      throw new ReverieException(
          "tokenizer: " + files.where + ": expected a length of at least 2, got " + length,
          "model_max_length in tokenizer_config.json");
    }
  }

  /** Any of these tokens; where one begins with another, the longer is meant. */
  private static Pattern any(Collection<String> tokens) {
    return tokens.isEmpty()
        ? NONE
        : Pattern.compile(
            tokens.stream()
                .sorted(Comparator.comparingInt(String::length).reversed())
                .map(Pattern::quote)
                .collect(Collectors.joining("|")));
  }

  private static int largest(Collection<Integer> ids) {
    return ids.stream().mapToInt(Integer::intValue).max().orElse(0);
  }

  /**
   * A tokenizer from a folder with {@code vocab.json} and {@code merges.txt}, or with {@code
   * tokenizer.json} alone; {@code special_tokens_map.json} and {@code tokenizer_config.json} name
   * the special tokens.
   *
   * @throws ReverieException if files are missing or do not fit each other
   */
  public static ClipTokenizer read(Path folder) {
    return new ClipTokenizer(new TokenizerFolder(folder).read());
  }

  /** Ids of a text with a start and an end token, neither padded nor cut off. */
  public int[] ids(String text) {
    List<Integer> ids = new ArrayList<>();
    ids.add(start);
    cut(
        text,
        specialPattern,
        special,
        ids,
        between -> cut(normalised(between), addedPattern, added, ids, rest -> addWords(rest, ids)));
    ids.add(end);
    return ids.stream().mapToInt(Integer::intValue).toArray();
  }

  /** Adds the ids of tokens that are found, and hands over what lies between, all in order. */
  private static void cut(
      String text,
      Pattern tokens,
      Map<String, Integer> all,
      List<Integer> ids,
      Consumer<String> between) {
    Matcher found = tokens.matcher(text);
    int from = 0;
    while (found.find()) {
      between.accept(text.substring(from, found.start()));
      ids.add(all.get(found.group()));
      from = found.end();
    }
    between.accept(text.substring(from));
  }

  private void addWords(String text, List<Integer> ids) {
    Matcher word = WORDS.matcher(text);
    while (word.find()) {
      ids.addAll(pairs.encode(word.group()));
    }
  }

  private static String normalised(String text) {
    String composed = Normalizer.normalize(text, Normalizer.Form.NFC);
    // By code point: a final sigma is lower-cased like any other.
    return SPACES
        .matcher(composed)
        .replaceAll(" ")
        .codePoints()
        .mapToObj(c -> Character.toString(c).toLowerCase(Locale.ROOT))
        .collect(Collectors.joining());
  }

  /** Ids of a text, cut off or padded to {@link #length()}; the end token is always there. */
  public int[] encode(String text) {
    int[] ids = ids(text);
    int[] out = Arrays.copyOf(ids, length);
    if (ids.length > length) {
      out[length - 1] = end;
    } else {
      Arrays.fill(out, ids.length, length, pad);
    }
    return out;
  }

  /** Tokens of an encoded text, 77 for Stable Diffusion. */
  public int length() {
    return length;
  }

  /** The largest id that can come out. */
  public int largestId() {
    return largest;
  }
}
