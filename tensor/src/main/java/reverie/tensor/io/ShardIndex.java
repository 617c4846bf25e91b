// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;

/**
 * Which file beside an index holds which tensors: {@code {"weight_map": {TENSOR: FILE, …}}}.
 *
 * @param files names of files, all beside the index, with their tensors
 */
record ShardIndex(Map<String, Set<String>> files) {
  private static final String MAP = "weight_map";

  static ShardIndex read(Path path) {
    String json = JsonText.read(path, "safetensors");
    Map<String, Set<String>> files = null;
    try (JsonParser parser = JsonText.FACTORY.createParser(ObjectReadContext.empty(), json)) {
      require(path, parser.nextToken() == JsonToken.START_OBJECT, "an object", parser);
      while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
        boolean map = parser.currentName().equals(MAP);
        parser.nextToken();
        if (map) {
          files = map(path, parser);
        } else {
          parser.skipChildren();
        }
      }
      require(path, parser.nextToken() == null, "nothing after the object", parser);
    } catch (JacksonException e) {
      throw new ReverieException(
          "safetensors: " + path + " is not JSON: " + JsonText.problem(e),
          "the download may be incomplete",
          e);
    }
    if (files == null || files.isEmpty()) {
      throw error(path, "expected the files of tensors in \"" + MAP + "\", got none");
    }
    return new ShardIndex(files);
  }

  private static Map<String, Set<String>> map(Path path, JsonParser parser) {
    require(path, parser.currentToken() == JsonToken.START_OBJECT, "an object " + MAP, parser);
    Map<String, Set<String>> files = new LinkedHashMap<>();
    while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
      String tensor = parser.currentName();
      require(path, parser.nextToken() == JsonToken.VALUE_STRING, "names of files", parser);
      String file = parser.getString();
      if (!file.matches("[^/\\\\\\p{Cntrl}:]{1,200}\\.safetensors")) {
        throw error(
            path,
            String.format(
                Locale.ROOT,
                "expected safetensors files beside it, got \"%s\" for tensor \"%s\"",
                ReverieException.shown(file),
                ReverieException.shown(tensor)));
      }
      files.computeIfAbsent(file, _ -> new LinkedHashSet<>()).add(tensor);
    }
    return files;
  }

  private static void require(Path path, boolean holds, String expected, JsonParser parser) {
    if (!holds) {
      throw error(
          path,
          String.format(
              Locale.ROOT,
              "expected %s, got %s",
              expected,
              parser.currentToken() == null
                  ? "the end"
                  : ReverieException.shown(parser.getString())));
    }
  }

  private static ReverieException error(Path path, String message) {
    return new ReverieException(
        "safetensors: " + path + ": " + message, "it is no sound index; download the model again");
  }
}
