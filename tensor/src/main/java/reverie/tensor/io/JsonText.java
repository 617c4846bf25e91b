// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;

/** Reads small untrusted JSON files: {@code config.json} and its like. */
public final class JsonText {
  /** Reads JSON in which no key may come twice. */
  public static final JsonFactory FACTORY =
      JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  /** What no configuration and no description of a model comes near to. */
  public static final int MAX_BYTES = 1 << 25;

  private static final String BYTE_ORDER_MARK = "\ufeff";

  private JsonText() {}

  /**
   * The text of a file in UTF-8, without a byte order mark.
   *
   * @param what the file is, for errors: {@code "unet config"}
   * @throws ReverieException if it cannot be read, is larger than 32 MB or is no text
   */
  public static String read(Path file, String what) {
    String problem = what + ": cannot read " + file;
    try {
      if (Files.isDirectory(file)) {
        throw new ReverieException(problem + ": it is a folder", "give the path of a file");
      }
      return withoutByteOrderMark(text(file, MAX_BYTES));
    } catch (NoSuchFileException e) {
      throw new ReverieException(problem + ": it does not exist", "check the path", e);
    } catch (CharacterCodingException e) {
      throw new ReverieException(
          problem + ": it is not text in UTF-8", "save it as UTF-8, or download it again", e);
    } catch (IOException e) {
      throw new ReverieException(problem + ": " + e, "check path and permissions", e);
    }
  }

  /**
   * The text of a file in UTF-8 that may be a device, or without an end.
   *
   * @throws IOException if it cannot be read, is no such text or is larger than this
   */
  public static String text(Path file, int maxBytes) throws IOException {
    return StandardCharsets.UTF_8
        .newDecoder()
        .decode(ByteBuffer.wrap(bytes(file, maxBytes)))
        .toString();
  }

  /**
   * The bytes of a file, likewise.
   *
   * @throws IOException if it cannot be read or is larger than this
   */
  public static byte[] bytes(Path file, int maxBytes) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(maxBytes + 1);
      if (bytes.length > maxBytes) {
        throw new IOException("expected at most " + maxBytes + " bytes, got more");
      }
      return bytes;
    }
  }

  /** A text without the mark with which some editors begin a file. */
  public static String withoutByteOrderMark(String text) {
    return text.startsWith(BYTE_ORDER_MARK) ? text.substring(1) : text;
  }

  /** What Jackson says is wrong, as it may stand in a message. */
  public static String problem(JacksonException e) {
    // Jackson's own message quotes its internal view of the source.
    String first = String.valueOf(e.getOriginalMessage()).lines().findFirst().orElse("");
    return ReverieException.shown(
        first.replaceFirst(" \\(?(start(ing|s| marker) )?at \\[Source: .*", ""));
  }
}
