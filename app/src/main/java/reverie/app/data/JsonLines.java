// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.BiConsumer;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A text file with a JSON object a line, read with errors that name the line.
 *
 * @param reader who reads, for errors
 * @param file the file
 * @param example a line as it should be
 */
record JsonLines(String reader, Path file, String example) {
  /** Hands every line that is not blank, and its number from 1, to {@code each}. */
  void forEach(BiConsumer<Integer, JsonNode> each) {
    List<String> lines = lines();
    for (int i = 0; i < lines.size(); i++) {
      if (!lines.get(i).isBlank()) {
        each.accept(i + 1, parse(lines.get(i), i + 1));
      }
    }
  }

  /** The text under a key of a line. */
  String text(JsonNode node, String key, int line) {
    if (!node.path(key).isString()) {
      throw wrong(line, "'" + key + "' must be a string");
    }
    return node.path(key).stringValue();
  }

  /** What is wrong with a line. */
  ReverieException wrong(int line, String problem) {
    return new ReverieException(
        String.format(Locale.ROOT, "%s: line %d of '%s': %s", reader, line, file, problem),
        "every line should look like " + example);
  }

  private JsonNode parse(String line, int number) {
    try {
      return JsonMapper.shared().readTree(line);
    } catch (JacksonException e) {
      throw wrong(number, e.getOriginalMessage());
    }
  }

  private List<String> lines() {
    try {
      return Files.readAllLines(file);
    } catch (NoSuchFileException e) {
      throw new ReverieException(
          String.format(Locale.ROOT, "%s: '%s' does not exist", reader, file),
          "check the path; it is relative to where you are");
    } catch (CharacterCodingException e) {
      throw new ReverieException(
          String.format(Locale.ROOT, "%s: '%s' is no UTF-8 text", reader, file),
          "save the file as UTF-8");
    } catch (IOException e) {
      throw new ReverieException(
          String.format(Locale.ROOT, "%s: '%s' cannot be read: %s", reader, file, e.getMessage()),
          "name a text file, and check its permissions");
    }
  }
}
