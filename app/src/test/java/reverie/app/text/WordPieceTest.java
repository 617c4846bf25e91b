// SPDX-License-Identifier: Apache-2.0
package reverie.app.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * The expected numbers were made once with Hugging Face's tokenizers library from the same
 * tokenizer.json.
 */
class WordPieceTest {
  private static WordPiece wordPiece;

  @BeforeAll
  static void load() throws IOException {
    wordPiece = MiniLm.tokenizer();
  }

  @Test
  void agreesOnEveryIconPrompt() throws IOException {
    int longest = 0;
    for (String line : lines("icon-tokens.tsv")) {
      String[] columns = line.split("\t");
      int[] expected = numbers(columns[1]);
      assertArrayEquals(expected, wordPiece.encode(columns[0]), columns[0]);
      longest = Math.max(longest, expected.length);
    }
    assertEquals(8, longest);
  }

  @Test
  void agreesOnOddText() throws IOException {
    for (String line : lines("odd-tokens.tsv")) {
      String[] columns = line.split("\t");
      StringBuilder text = new StringBuilder();
      for (int i = 0; i < columns[0].length(); i += 4) {
        text.append((char) Integer.parseInt(columns[0].substring(i, i + 4), 16));
      }
      assertArrayEquals(numbers(columns[1]), wordPiece.encode(text.toString()), "'" + text + "'");
    }
  }

  @Test
  void whatIsCutEndsAsTheWholeDoes() {
    int[] ids = {101, 7, 8, 9, 102};
    assertArrayEquals(new int[] {101, 7, 102}, WordPiece.cut(ids, 3));
    assertArrayEquals(ids, WordPiece.cut(ids, 5));
  }

  private static int[] numbers(String text) {
    return Arrays.stream(text.split(" ")).mapToInt(Integer::parseInt).toArray();
  }

  private static List<String> lines(String resource) throws IOException {
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(
                WordPieceTest.class.getResourceAsStream(resource), StandardCharsets.UTF_8))) {
      return reader.lines().toList();
    }
  }
}
