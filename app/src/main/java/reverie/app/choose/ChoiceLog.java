// SPDX-License-Identifier: Apache-2.0
package reverie.app.choose;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.StreamSupport;
import reverie.app.files.AtomicFile;
import reverie.app.files.JsonFile;
import reverie.tensor.ReverieException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The choices of a person, one line each in {@code preferences.jsonl}, the form that Diffusion-DPO
 * reads. A line is on the disk before the choice is acknowledged, so that nothing is lost however
 * the process ends; a line that was cut off by that is removed at the next start. Undoing removes
 * the last line.
 */
final class ChoiceLog implements AutoCloseable {
  /** The file beside the pairs. */
  static final String FILE = "preferences.jsonl";

  private final ImagePairs pairs;
  private final Path file;
  private final FileChannel channel;
  private final Set<Integer> chosen = new HashSet<>();
  private final Deque<Line> lines = new ArrayDeque<>();

  private record Line(long start, int pair) {}

  ChoiceLog(ImagePairs pairs) {
    this.pairs = pairs;
    file = pairs.folder().resolve(FILE);
    try {
      channel =
          FileChannel.open(
              file,
              StandardOpenOption.CREATE,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE,
              LinkOption.NOFOLLOW_LINKS);
    } catch (IOException e) {
      throw AtomicFile.failure(file, e);
    }
    try {
      lock();
      restore();
      // The name of a new file is on the disk too.
      try (FileChannel folder = FileChannel.open(file.toAbsolutePath().getParent())) {
        folder.force(true);
      }
    } catch (IOException e) {
      close();
      throw AtomicFile.failure(file, e);
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  private void lock() throws IOException {
    FileLock lock;
    try {
      lock = channel.tryLock();
    } catch (OverlappingFileLockException e) {
      lock = null;
    }
    if (lock == null) {
      throw new ReverieException(
          "preferences: '" + file + "' is being written by another server",
          "go on there, or stop it");
    }
  }

  private void restore() throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(channel.size()));
    while (bytes.hasRemaining() && channel.read(bytes, bytes.position()) >= 0) {
      // until everything is there
    }
    int start = 0;
    int number = 1;
    for (int i = 0; i < bytes.position(); i++) {
      if (bytes.get(i) == '\n') {
        String line = new String(bytes.array(), start, i - start, StandardCharsets.UTF_8);
        int pair = pair(line, number++);
        chosen.add(pair);
        lines.add(new Line(start, pair));
        start = i + 1;
      }
    }
    if (start < bytes.position()) {
      channel.truncate(start);
      channel.force(true);
    }
  }

  private int pair(String line, int number) {
    try {
      JsonNode node = JsonFile.parse(line);
      int pair = node.path("pair").asInt(-1);
      List<String> images =
          StreamSupport.stream(node.path("images").spliterator(), false)
              .map(image -> image.asString(""))
              .toList();
      if (pair >= 0
          && pair < pairs.pairs().size()
          && pairs.pairs().get(pair).images().equals(images)) {
        return pair;
      }
    } catch (JacksonException e) {
      // What it is does not matter.
    }
    throw new ReverieException(
        String.format(
            Locale.ROOT,
            "preferences: line %d of '%s' is no choice between these pairs",
            number,
            file),
        "move the file away to begin anew");
  }

  /** How many pairs have a choice. */
  synchronized int done() {
    return chosen.size();
  }

  /** The first pair without a choice; −1 if there is none. */
  synchronized int next() {
    for (int pair = 0; pair < pairs.pairs().size(); pair++) {
      if (!chosen.contains(pair)) {
        return pair;
      }
    }
    return -1;
  }

  /**
   * Writes a choice down; it is on the disk afterwards.
   *
   * @param choice 0, 1, or null for a tie
   * @return false if the pair has a choice already
   */
  synchronized boolean choose(int pair, Integer choice) throws IOException {
    if (!chosen.add(pair)) {
      return false;
    }
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("prompt", pairs.pairs().get(pair).prompt());
    line.put("images", pairs.pairs().get(pair).images());
    line.put("choice", choice);
    line.put("pair", pair);
    byte[] bytes =
        (JsonMapper.shared().writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8);
    long start = channel.size();
    try {
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      while (buffer.hasRemaining()) {
        channel.write(buffer, start + buffer.position());
      }
      channel.force(true);
    } catch (IOException e) {
      chosen.remove(pair);
      channel.truncate(start);
      throw e;
    }
    lines.add(new Line(start, pair));
    return true;
  }

  /** Takes the last choice back. */
  synchronized boolean undo() throws IOException {
    if (lines.isEmpty()) {
      return false;
    }
    channel.truncate(lines.getLast().start);
    channel.force(true);
    chosen.remove(lines.removeLast().pair);
    return true;
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw AtomicFile.failure(file, e);
    }
  }
}
