// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import reverie.tensor.ReverieException;
import reverie.tensor.io.JsonText;

/**
 * Reads a list of prompts from a text file, with an error for every way in which that can go wrong.
 */
final class PromptFile {
  private PromptFile() {}

  static PromptSource read(Path file) {
    List<Prompt> prompts =
        decode(file, bytes(file))
            .lines()
            .map(String::strip)
            .filter(line -> !line.isEmpty() && !line.startsWith("#"))
            .map(Prompt::new)
            .toList();
    if (prompts.isEmpty()) {
      throw new ReverieException(
          "prompt file: " + file + " has no prompt in it",
          "write one prompt a line; empty lines and lines that start with # do not count");
    }
    return new PromptList(prompts);
  }

  private static byte[] bytes(Path file) {
    if (!Files.exists(file)) {
      throw new ReverieException(
          "prompt file: " + file.toAbsolutePath() + " does not exist", "check the path");
    }
    if (Files.isDirectory(file)) {
      throw new ReverieException(
          "prompt file: " + file + " is a folder", "name a text file with one prompt a line");
    }
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new ReverieException(
          "prompt file: " + file + " cannot be read (" + e + ")", "check its permissions", e);
    }
  }

  private static String decode(Path file, byte[] bytes) {
    CharsetDecoder decoder =
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT);
    ByteBuffer in = ByteBuffer.wrap(bytes);
    CharBuffer out = CharBuffer.allocate(bytes.length + 1);
    CoderResult result = decoder.decode(in, out, true);
    String text = out.flip().toString();
    if (result.isError()) {
      long line = text.chars().filter(c -> c == '\n').count() + 1;
      throw new ReverieException(
          "prompt file: "
              + file
              + String.format(
                  Locale.ROOT,
                  " is not UTF-8 text: byte 0x%02x in line %d",
                  bytes[in.position()] & 0xff,
                  line),
          "save the file as UTF-8");
    }
    return JsonText.withoutByteOrderMark(text);
  }
}
