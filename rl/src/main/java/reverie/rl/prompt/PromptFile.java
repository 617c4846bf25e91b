// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prompt;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import reverie.tensor.ReverieException;

/**
 * The prompts of a text file, however long it is: it is gone through once and remembered are the
 * places of the lines, 12 bytes each; a prompt is read when it is asked for. There is an error for
 * every way in which that can go wrong.
 */
final class PromptFile implements PromptSource {
  private static final int BLOCK = 1 << 16;
  private static final int MAX_LINE = 1 << 20;

  private final Path file;
  private final FileChannel channel;
  private long[] starts = new long[1024];
  private int[] lengths = new int[1024];
  private int size;

  private PromptFile(Path file) throws IOException {
    this.file = file;
    channel = FileChannel.open(file);
    index();
    if (size == 0) {
      throw new ReverieException(
          "prompt file: " + file + " has no prompt in it",
          "write one prompt a line; empty lines and lines that start with # do not count");
    }
  }

  static PromptSource read(Path file) {
    if (!Files.exists(file)) {
      throw new ReverieException(
          "prompt file: " + file.toAbsolutePath() + " does not exist", "check the path");
    }
    if (Files.isDirectory(file)) {
      throw new ReverieException(
          "prompt file: " + file + " is a folder", "name a text file with one prompt a line");
    }
    try {
      return new PromptFile(file);
    } catch (IOException e) {
      throw new ReverieException(
          "prompt file: " + file + " cannot be read (" + e + ")", "check its permissions", e);
    }
  }

  /** Finds the lines. */
  private void index() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    ByteBuffer block = ByteBuffer.allocate(BLOCK);
    long place = 0;
    long start = 0;
    int number = 1;
    while (channel.read(block.clear(), place) > 0) {
      block.flip();
      while (block.hasRemaining()) {
        byte next = block.get();
        place++;
        if (next == '\n' || next == '\r') {
          add(line.toByteArray(), start, number);
          number += next == '\n' ? 1 : 0;
          line.reset();
          start = place;
        } else if (line.size() == MAX_LINE) {
          throw new ReverieException(
              String.format(Locale.ROOT, "prompt file: %s: line %d does not end", file, number),
              "write one prompt a line");
        } else {
          line.write(next);
        }
      }
    }
    add(line.toByteArray(), start, number);
  }

  private void add(byte[] line, long start, int number) {
    String text = decode(line, number);
    if (text.isEmpty() || text.startsWith("#")) {
      return;
    }
    if (size == starts.length) {
      starts = Arrays.copyOf(starts, 2 * size);
      lengths = Arrays.copyOf(lengths, 2 * size);
    }
    starts[size] = start;
    lengths[size++] = line.length;
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public Prompt get(int index) {
    Objects.checkIndex(index, size);
    ByteBuffer line = ByteBuffer.allocate(lengths[index]);
    try {
      while (line.hasRemaining()) {
        if (channel.read(line, starts[index] + line.position()) < 0) {
          throw new ReverieException(
              "prompt file: " + file + " became shorter while it was in use",
              "put it back, and go on with --resume");
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException("prompt file: " + file + " cannot be read", e);
    }
    return new Prompt(decode(line.array(), index + 1));
  }

  private String decode(byte[] bytes, int number) {
    CharsetDecoder decoder =
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT);
    ByteBuffer in = ByteBuffer.wrap(bytes);
    CharBuffer out = CharBuffer.allocate(bytes.length + 1);
    CoderResult result = decoder.decode(in, out, true);
    if (result.isError()) {
      throw new ReverieException(
          "prompt file: "
              + file
              + String.format(
                  Locale.ROOT,
                  " is not UTF-8 text: byte 0x%02x in line %d",
                  bytes[in.position()] & 0xff,
                  number),
          "save the file as UTF-8");
    }
    String text = out.flip().toString();
    return (text.startsWith("\uFEFF") ? text.substring(1) : text).strip();
  }
}
