// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.pipeline.Samples;
import reverie.tensor.ReverieException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Against the ids that Hugging Face's tokenizers give with CLIP's own vocabulary. */
class ClipTokenizerTest {
  @TempDir private static Path clip;

  private static List<JsonNode> lines;

  /** CLIP's vocabulary follows from its merges. */
  @BeforeAll
  static void unpack() throws IOException {
    String merges;
    try (InputStream in =
        new GZIPInputStream(Files.newInputStream(Samples.path("clip_merges.txt.gz")))) {
      merges = new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    List<String> bytes = new ArrayList<>();
    for (int[] range : new int[][] {{'!', '~'}, {0xa1, 0xac}, {0xae, 0xff}}) {
      for (int b = range[0]; b <= range[1]; b++) {
        bytes.add(Character.toString(b));
      }
    }
    for (int next = 256; bytes.size() < 256; next++) {
      bytes.add(Character.toString(next));
    }
    bytes.forEach(symbol -> vocabulary.put(symbol, vocabulary.size()));
    bytes.forEach(symbol -> vocabulary.put(symbol + "</w>", vocabulary.size()));
    merges
        .lines()
        .skip(1)
        .forEach(merge -> vocabulary.put(merge.replace(" ", ""), vocabulary.size()));
    vocabulary.put("<|startoftext|>", vocabulary.size());
    vocabulary.put("<|endoftext|>", vocabulary.size());
    assertEquals(49408, vocabulary.size());
    Files.writeString(clip.resolve("merges.txt"), merges);
    Files.writeString(
        clip.resolve("vocab.json"), JsonMapper.shared().writeValueAsString(vocabulary));
    lines =
        Files.readAllLines(Samples.path("clip_tokens.jsonl")).stream()
            .map(line -> JsonMapper.shared().readTree(line))
            .toList();
    assertEquals(340, lines.size());
  }

  @Test
  void idsAreThoseOfStableDiffusion1() {
    assertColumn("fast", ClipTokenizer.read(clip));
  }

  @Test
  void paddingOfStableDiffusion2IsASpecialToken(@TempDir Path folder) throws IOException {
    Files.copy(clip.resolve("vocab.json"), folder.resolve("vocab.json"));
    Files.copy(clip.resolve("merges.txt"), folder.resolve("merges.txt"));
    Files.writeString(folder.resolve("special_tokens_map.json"), "{\"pad_token\": \"!\"}");
    Files.writeString(
        folder.resolve("tokenizer_config.json"), "{\"pad_token\": \"<|endoftext|>\"}");
    ClipTokenizer tokenizer = ClipTokenizer.read(folder);
    assertColumn("fast_sd2", tokenizer);
    int[] ids = tokenizer.encode("cat!");
    assertEquals(
        List.of(49406, 2368, 0, 49407, 0), List.of(ids[0], ids[1], ids[2], ids[3], ids[4]));
    // Numbers beyond any text stand for no limit.
    for (String length : List.of("20", "2000000", "1000000000000000019884624838656")) {
      Files.writeString(
          folder.resolve("tokenizer_config.json"), "{\"model_max_length\": " + length + "}");
      assertEquals(length.equals("20") ? 20 : 77, ClipTokenizer.read(folder).length());
    }
  }

  @Test
  void tokenizerJsonAloneWorks(@TempDir Path folder) throws IOException {
    JsonNode vocabulary = JsonMapper.shared().readTree(clip.resolve("vocab.json"));
    List<List<String>> merges =
        Files.readAllLines(clip.resolve("merges.txt")).stream()
            .skip(1)
            .map(line -> List.of(line.split(" ")))
            .toList();
    Files.writeString(
        folder.resolve("tokenizer.json"),
        JsonMapper.shared()
            .writeValueAsString(
                Map.of(
                    "model",
                    Map.of("vocab", vocabulary, "merges", merges),
                    "added_tokens",
                    List.of(
                        Map.of("id", 49406, "content", "<|startoftext|>", "special", true),
                        Map.of("id", 49407, "content", "<|endoftext|>", "special", true)))));
    assertColumn("fast", ClipTokenizer.read(folder));
  }

  /** Textual inversion adds tokens, which are found whatever their case and are never cut. */
  @Test
  void addedTokensAreFound(@TempDir Path folder) throws IOException {
    Files.copy(clip.resolve("vocab.json"), folder.resolve("vocab.json"));
    Files.copy(clip.resolve("merges.txt"), folder.resolve("merges.txt"));
    Files.writeString(
        folder.resolve("added_tokens.json"), "{\"<Cat-toy>\": 49408, \"<cat-toy>_1\": 49409}");
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        "{\"added_tokens_decoder\": {\"49410\": {\"content\": \"<New>\", \"special\": true}}}");
    ClipTokenizer tokenizer = ClipTokenizer.read(folder);
    assertEquals(49410, tokenizer.largestId());
    assertArrayEquals(
        new int[] {49406, 320, 49409, 49408, 1125, 49410, 49407},
        tokenizer.ids("A <CAT-toy>_1<cat-toy>photo<New>"));
    // A special token is taken as it is written only.
    assertEquals(7, tokenizer.ids("a <new> photo").length);
  }

  private static void assertColumn(String column, ClipTokenizer tokenizer) {
    for (JsonNode line : lines) {
      int[] expected = line.get(column).valueStream().mapToInt(JsonNode::intValue).toArray();
      String text = line.get("text").stringValue();
      assertArrayEquals(expected, tokenizer.ids(text), text);
    }
  }

  @Test
  void textsAreCutOffAndPadded() {
    ClipTokenizer tokenizer = ClipTokenizer.read(clip);
    int[] empty = tokenizer.encode("");
    assertEquals(77, empty.length);
    assertEquals(49406, empty[0]);
    for (int i = 1; i < 77; i++) {
      assertEquals(49407, empty[i]);
    }
    int[] exact = tokenizer.encode("cat ".repeat(75));
    int[] longer = tokenizer.encode("cat ".repeat(200));
    assertArrayEquals(exact, longer);
    assertEquals(2368, longer[75]);
    assertEquals(49407, longer[76]);
  }

  @Test
  void filesThatDoNotFitAreNamed(@TempDir Path folder) throws IOException {
    assertTrue(failure(folder).contains("expected vocab.json and merges.txt"), failure(folder));
    Samples.copy("sd1_tiny/tokenizer", folder.resolve("a"));
    Files.copy(
        clip.resolve("merges.txt"),
        folder.resolve("a/merges.txt"),
        StandardCopyOption.REPLACE_EXISTING);
    assertTrue(
        failure(folder.resolve("a")).contains("what a merge makes"), failure(folder.resolve("a")));
    Samples.copy("sd1_tiny/tokenizer", folder.resolve("b"));
    Samples.edit(folder.resolve("b/vocab.json"), "<|endoftext|>", "<|other|>");
    assertTrue(
        failure(folder.resolve("b")).contains("the special token \"<|endoftext|>\""),
        failure(folder.resolve("b")));
    Samples.copy("sd1_tiny/tokenizer", folder.resolve("c"));
    Files.writeString(folder.resolve("c/merges.txt"), "#version: 0.2\ni n\na\n");
    assertTrue(
        failure(folder.resolve("c")).contains("two symbols to merge, got \"a\""),
        failure(folder.resolve("c")));
    Files.writeString(folder.resolve("c/vocab.json"), "{\"a\": ");
    assertTrue(
        failure(folder.resolve("c")).contains("expected JSON"), failure(folder.resolve("c")));
  }

  private static String failure(Path folder) {
    return assertThrows(ReverieException.class, () -> ClipTokenizer.read(folder)).getMessage();
  }
}
