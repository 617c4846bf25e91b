// SPDX-License-Identifier: Apache-2.0
package reverie.app.files;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import reverie.tensor.ReverieException;
import reverie.tensor.io.JsonText;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** JSON files and lines of JSON, whose damage is one error that names the file and the place. */
public final class JsonFile {
  private static final JsonMapper JSON =
      JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  private JsonFile() {}

  /**
   * Reads a file that holds one object.
   *
   * @param file the file
   * @param hint what to do if it is damaged
   * @return the object
   * @throws ReverieException naming the file, if it cannot be read or is no object
   */
  public static JsonNode readObject(Path file, String hint) {
    JsonNode node = read(file, hint);
    if (!node.isObject()) {
      throw new ReverieException("read " + file + ": expected a JSON object", hint);
    }
    return node;
  }

  /**
   * Reads a file of JSON.
   *
   * @param file the file
   * @param hint what to do if it is damaged
   * @return its value
   * @throws ReverieException naming the file, if it cannot be read or is no JSON
   */
  public static JsonNode read(Path file, String hint) {
    try {
      // Bytes that are no UTF-8 become replacement characters, which no key or number contains.
      return parse(new String(JsonText.bytes(file, JsonText.MAX_BYTES), StandardCharsets.UTF_8));
    } catch (JacksonException e) {
      throw new ReverieException("read " + file + ": this is no JSON: " + reason(e), hint, e);
    } catch (IOException e) {
      throw AtomicFile.readFailure(file, e);
    }
  }

  /**
   * Reads JSON, before which a byte order mark may stand.
   *
   * @param text the text
   * @return its value
   * @throws JacksonException if it is none
   */
  public static JsonNode parse(String text) {
    return JSON.readTree(JsonText.withoutByteOrderMark(text));
  }

  /**
   * What is wrong with a text, and where in it.
   *
   * @param error from Jackson
   * @return one line
   */
  public static String reason(JacksonException error) {
    String problem = JsonText.problem(error);
    return error.getLocation() == null
        ? problem
        : problem
            + " (line "
            + error.getLocation().getLineNr()
            + ", column "
            + error.getLocation().getColumnNr()
            + ")";
  }
}
