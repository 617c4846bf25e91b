// SPDX-License-Identifier: Apache-2.0
package reverie.bench.report;

import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import reverie.tensor.ReverieException;
import tools.jackson.databind.json.JsonMapper;

/** A file with a JSON object a line, each there as soon as it is known. */
public final class JsonLines implements AutoCloseable {
  private final JsonMapper json = JsonMapper.builder().build();
  private final Path file;
  private final Writer writer;

  private JsonLines(Path file) throws IOException {
    this.file = file;
    writer = file == null ? Writer.nullWriter() : Files.newBufferedWriter(file);
  }

  /** Begins a file; nothing is kept if it is null. */
  public static JsonLines to(Path file) {
    try {
      return new JsonLines(file);
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  /** Adds a line. */
  public void write(Object row) {
    try {
      writer.write(json.writeValueAsString(row) + "\n");
      writer.flush();
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  private static ReverieException failure(Path file, IOException cause) {
    return new ReverieException(
        "bench: " + file + " cannot be written: " + cause,
        "check permissions and free space",
        cause);
  }

  @Override
  public void close() {
    try {
      writer.close();
    } catch (IOException e) {
      throw failure(file, e);
    }
  }
}
