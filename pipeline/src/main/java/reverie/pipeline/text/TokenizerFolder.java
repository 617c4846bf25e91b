// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.text;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import reverie.tensor.ReverieException;
import reverie.tensor.io.JsonText;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;

/** The files of a tokenizer as Python's transformers writes them. */
record TokenizerFolder(Path folder) {
  private static final String VOCABULARY = "vocab.json";
  private static final String MERGES = "merges.txt";
  private static final String FAST = "tokenizer.json";
  private static final String ADDED = "added_tokens.json";
  private static final String CONFIG = "tokenizer_config.json";
  private static final String SPECIAL = "special_tokens_map.json";

  private static final String START = "<|startoftext|>";
  private static final String END = "<|endoftext|>";
  private static final int LENGTH = 77;

  ClipTokenizer.Files read() {
    boolean slow = has(VOCABULARY) && has(MERGES);
    if (!slow && !has(FAST)) {
      throw new ReverieException(
          "tokenizer: expected "
              + VOCABULARY
              + " and "
              + MERGES
              + ", or "
              + FAST
              + ", in "
              + folder,
          "the download may be incomplete");
    }
    Map<String, Integer> vocabulary;
    List<BytePairs.Pair> merges;
    Map<String, Integer> special = new LinkedHashMap<>();
    Map<String, Integer> added = new LinkedHashMap<>();
    JsonNode config = has(CONFIG) ? json(CONFIG) : JsonNodeFactory.instance.objectNode();
    if (slow) {
      vocabulary = vocabulary(json(VOCABULARY), VOCABULARY);
      merges = merges();
      if (has(ADDED)) {
        added.putAll(vocabulary(json(ADDED), ADDED));
      }
      config
          .path("added_tokens_decoder")
          .properties()
          .forEach(e -> add(e.getValue(), number(e.getKey()), special, added));
    } else {
      JsonNode model = json(FAST).path("model");
      vocabulary = vocabulary(model.path("vocab"), FAST);
      merges = new ArrayList<>();
      model.path("merges").forEach(merge -> merges.add(merge(merge)));
      json(FAST)
          .path("added_tokens")
          .forEach(token -> add(token, token.path("id").asInt(-1), special, added));
    }
    vocabulary.putAll(special);
    vocabulary.putAll(added);
    String start = special("bos_token", START, config);
    String end = special("eos_token", END, config);
    String padding = slow ? END : json(FAST).path("padding").path("pad_token").asString(END);
    String pad = special("pad_token", padding, config);
    for (String token : List.of(start, end, pad, special("unk_token", END, config))) {
      Integer id = vocabulary.get(token);
      if (id == null) {
        throw new ReverieException(
            "tokenizer: "
                + folder
                + ": expected the special token \""
                + token
                + "\" in the vocabulary of "
                + vocabulary.size()
                + " tokens",
            "is it the vocabulary of a CLIP tokenizer?");
      }
      special.put(token, id);
    }
    added.keySet().removeAll(special.keySet());
    return new ClipTokenizer.Files(
        vocabulary, merges, special, added, start, end, pad, length(config), folder.toString());
  }

  /** A token with its text and whether it is a special one. */
  private void add(
      JsonNode token, int id, Map<String, Integer> special, Map<String, Integer> added) {
    String content = token.path("content").asString("");
    if (id < 0 || content.isEmpty()) {
      throw new ReverieException(
          "tokenizer: " + folder + ": expected an added token with content and id, got " + token,
          "the download may be damaged");
    }
    (token.path("special").asBoolean(false) ? special : added).put(content, id);
  }

  /** −1 for what is none. */
  private static int number(String text) {
    return text.matches("\\d{1,9}") ? Integer.parseInt(text) : -1;
  }

  private boolean has(String name) {
    return Files.isRegularFile(folder.resolve(name));
  }

  /**
   * A special token. As in transformers, {@value #SPECIAL} is heard before {@value #CONFIG}, unless
   * the latter lists all tokens itself.
   */
  private String special(String key, String otherwise, JsonNode config) {
    JsonNode value = config.path(key);
    if (has(SPECIAL) && !config.has("added_tokens_decoder") && json(SPECIAL).hasNonNull(key)) {
      value = json(SPECIAL).get(key);
    }
    return value.isObject()
        ? value.path("content").asString(otherwise)
        : value.isString() ? value.stringValue() : otherwise;
  }

  private static int length(JsonNode config) {
    JsonNode length = config.path("model_max_length");
    // A huge number there stands for none.
    return length.isIntegralNumber() && length.canConvertToInt() && length.intValue() < 1 << 20
        ? length.intValue()
        : LENGTH;
  }

  private Map<String, Integer> vocabulary(JsonNode tokens, String name) {
    Map<String, Integer> out = new HashMap<>();
    tokens
        .properties()
        .forEach(e -> {
          if (!e.getValue().isIntegralNumber()
              || !e.getValue().canConvertToInt()
              || e.getValue().intValue() < 0) {
            throw new ReverieException(
                "tokenizer: "
                    + folder.resolve(name)
                    + ": expected a whole number for \""
                    + e.getKey()
                    + "\", got "
                    + e.getValue(),
                "the download may be damaged");
          }
          out.put(e.getKey(), e.getValue().intValue());
        });
    return out;
  }

  private List<BytePairs.Pair> merges() {
    List<BytePairs.Pair> merges = new ArrayList<>();
    List<String> lines = text(MERGES).lines().toList();
    // Only the first line is a comment: merges may begin with # too.
    boolean version = !lines.isEmpty() && lines.getFirst().startsWith("#version");
    for (String line : lines.subList(version ? 1 : 0, lines.size())) {
      if (!line.isBlank()) {
        merges.add(merge(line));
      }
    }
    return merges;
  }

  /** From {@code "a b"} or {@code ["a", "b"]}. */
  private BytePairs.Pair merge(JsonNode merge) {
    return merge.isArray() && merge.size() == 2
        ? new BytePairs.Pair(merge.get(0).asString(), merge.get(1).asString())
        : merge(merge.asString(""));
  }

  private BytePairs.Pair merge(String line) {
    String[] parts = line.split(" ", -1);
    if (parts.length != 2) {
      throw new ReverieException(
          "tokenizer: " + folder + ": expected two symbols to merge, got \"" + line + "\"",
          "is " + MERGES + " complete?");
    }
    return new BytePairs.Pair(parts[0], parts[1]);
  }

  private JsonNode json(String name) {
    try {
      return JsonMapper.shared().readTree(text(name));
    } catch (JacksonException e) {
      throw new ReverieException(
          "tokenizer: " + folder.resolve(name) + ": expected JSON, got " + e.getOriginalMessage(),
          "is the file cut off?",
          e);
    }
  }

  private String text(String name) {
    try {
      return JsonText.text(folder.resolve(name), JsonText.MAX_BYTES);
    } catch (IOException e) {
      throw new ReverieException(
          "tokenizer: " + folder.resolve(name) + " cannot be read: " + e,
          "is the file complete?",
          e);
    }
  }
}
