// SPDX-License-Identifier: Apache-2.0
package reverie.app.data;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiConsumer;
import reverie.app.files.JsonFile;
import reverie.tensor.ReverieException;
import reverie.tensor.io.JsonText;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MappingIterator;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.dataformat.csv.CsvMapper;
import tools.jackson.dataformat.csv.CsvSchema;

/**
 * A text file with a JSON object a line, or a CSV file whose first line names its columns, read
 * with errors that name the line.
 *
 * @param reader who reads, for errors
 * @param file the file; CSV if its name ends so
 * @param example a line as it should be
 */
record JsonLines(String reader, Path file, String example) {
  /** A million lines and more. */
  private static final int MAX_BYTES = 1 << 28;

  /** Hands every line that is not blank, and its number from 1, to {@code each}. */
  void forEach(BiConsumer<Integer, JsonNode> each) {
    try {
      String text = JsonText.withoutByteOrderMark(JsonText.text(file, MAX_BYTES));
      if (file.toString().toLowerCase(Locale.ROOT).endsWith(".csv")) {
        forEachRow(text, each);
      } else {
        int number = 0;
        for (String line : text.lines().toList()) {
          number++;
          if (!line.isBlank()) {
            each.accept(number, parse(line, number));
          }
        }
      }
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

  private void forEachRow(String text, BiConsumer<Integer, JsonNode> each) {
    int number = 1;
    try (MappingIterator<Map<String, String>> rows =
        new CsvMapper()
            .readerForMapOf(String.class)
            .with(CsvSchema.emptySchema().withHeader())
            .readValues(text)) {
      while (rows.hasNextValue()) {
        number = rows.currentLocation().getLineNr();
        each.accept(number, JsonMapper.shared().valueToTree(rows.nextValue()));
      }
    } catch (JacksonException e) {
      throw wrong(number, JsonFile.reason(e));
    }
  }

  /** The text under a key of a line. */
  String text(JsonNode node, String key, int line) {
    return text(node, List.of(key), line);
  }

  /** The text under the first of these keys that a line has. */
  String text(JsonNode node, List<String> keys, int line) {
    String key = keys.stream().filter(node::has).findFirst().orElse(keys.getFirst());
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
    JsonNode node;
    try {
      node = JsonFile.parse(line);
    } catch (JacksonException e) {
      throw wrong(number, JsonFile.reason(e));
    }
    if (!node.isObject()) {
      throw wrong(number, "expected a JSON object");
    }
    return node;
  }
}
