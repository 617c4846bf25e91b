// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.text;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import reverie.tensor.ReverieException;

/**
 * Byte-pair encoding (Sennrich et al. 2016) over bytes, as GPT-2 and CLIP have it: a word begins as
 * its bytes, each written as a printable character, the last with {@value #END_OF_WORD} behind it;
 * then the neighbours that stand first in the list of merges become one token, until none is left.
 */
final class BytePairs {
  static final String END_OF_WORD = "</w>";

  private static final String[] SYMBOLS = symbols();

  private final Map<String, Integer> vocabulary;
  private final Map<Pair, Integer> ranks;

  /** Two neighbours. */
  record Pair(String left, String right) {}

  /**
   * Checks that every word can be written.
   *
   * @param merges first come, first merged
   * @param where the vocabulary came from, for errors
   */
  BytePairs(Map<String, Integer> vocabulary, List<Pair> merges, String where) {
    this.vocabulary = vocabulary;
    this.ranks = HashMap.newHashMap(merges.size());
    for (String symbol : SYMBOLS) {
      require(symbol, "the symbol of a byte", where);
      require(symbol + END_OF_WORD, "the symbol of a byte", where);
    }
    for (Pair merge : merges) {
      require(merge.left + merge.right, "what a merge makes", where);
      ranks.putIfAbsent(merge, ranks.size());
    }
  }

  private void require(String token, String what, String where) {
    if (!vocabulary.containsKey(token)) {
      throw new ReverieException(
          "tokenizer: "
              + where
              + ": expected \""
              + token
              + "\", "
              + what
              + ", in the vocabulary of "
              + vocabulary.size()
              + " tokens",
          "are vocabulary and merges those of one CLIP tokenizer?");
    }
  }

  /** The ids of a word without spaces. */
  List<Integer> encode(String word) {
    List<String> tokens = new ArrayList<>();
    for (byte b : word.getBytes(StandardCharsets.UTF_8)) {
      tokens.add(SYMBOLS[b & 0xff]);
    }
    tokens.set(tokens.size() - 1, tokens.getLast() + END_OF_WORD);
    for (int at = first(tokens); at >= 0; at = first(tokens)) {
      tokens.set(at, tokens.get(at) + tokens.remove(at + 1));
    }
    return tokens.stream().map(vocabulary::get).toList();
  }

  /** Where the neighbours stand that are merged next; −1 if none are. */
  private int first(List<String> tokens) {
    int best = Integer.MAX_VALUE;
    int at = -1;
    for (int i = 0; i + 1 < tokens.size(); i++) {
      int rank = ranks.getOrDefault(new Pair(tokens.get(i), tokens.get(i + 1)), Integer.MAX_VALUE);
      if (rank < best) {
        best = rank;
        at = i;
      }
    }
    return at;
  }

  /** Printable bytes stand for themselves, the others for the characters from 256 on. */
  private static String[] symbols() {
    String[] symbols = new String[256];
    int next = 256;
    for (int b = 0; b < 256; b++) {
      boolean printable = b > ' ' && b < 0x7f || b > 0xa0 && b != 0xad;
      symbols[b] = Character.toString(printable ? b : next++);
    }
    return symbols;
  }
}
