// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.function.Function;
import reverie.tensor.ReverieException;

/**
 * A part of an open file, mapped into memory while it is read and no longer: what has been read of
 * a large model takes none.
 *
 * @param begin its place in the file
 */
record StoredBytes(Path path, FileChannel channel, long begin, long size) {
  /** All bytes of a file. */
  static StoredBytes of(Path path, FileChannel channel) throws IOException {
    return new StoredBytes(path, channel, 0, channel.size());
  }

  StoredBytes part(long from, long to) {
    return new StoredBytes(path, channel, begin + from, to - from);
  }

  <T> T read(Function<MemorySegment, T> reader) {
    try (Arena arena = Arena.ofConfined()) {
      return reader.apply(channel.map(FileChannel.MapMode.READ_ONLY, begin, size, arena));
    } catch (IOException e) {
      throw new ReverieException(
          "safetensors: " + path + " cannot be read: " + e, "was it changed meanwhile?", e);
    }
  }
}
