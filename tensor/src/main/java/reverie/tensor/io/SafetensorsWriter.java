// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * Writes safetensors: wide types first, then by name, so that every tensor is aligned and the same
 * content gives the same bytes. A crash leaves the old file or the new one, never half of one.
 */
final class SafetensorsWriter {
  /** As the library of Python has it, whose bytes come out for the same tensors. */
  private static final int ALIGNMENT = 8;

  private SafetensorsWriter() {}

  static void write(
      Path path,
      Map<String, Safetensors.Entry> entries,
      Map<String, String> metadata,
      boolean checked) {
    if (entries.containsKey("__metadata__")) {
      throw new ReverieException(
          "safetensors: " + path + ": expected tensor names, got the reserved \"__metadata__\"");
    }
    List<Map.Entry<String, Safetensors.Entry>> ordered =
        entries.entrySet().stream()
            .sorted(
                Comparator.comparingInt(
                        (Map.Entry<String, Safetensors.Entry> e) -> -e.getValue().dtype().bytes())
                    .thenComparing(Map.Entry::getKey))
            .toList();
    if (Files.exists(path) && !Files.isRegularFile(path)) {
      throw new ReverieException(
          "safetensors: " + path + ": expected a file to replace, got a folder or a device",
          "name a file");
    }
    Path part = path.resolveSibling(path.getFileName() + ".part");
    try {
      // Whatever a killed writer, or somebody else, left under this name is not written through.
      Files.deleteIfExists(part);
      try (FileChannel channel =
          FileChannel.open(
              part,
              StandardOpenOption.CREATE_NEW,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE)) {
        writeFully(channel, header(ordered, metadata));
        for (Map.Entry<String, Safetensors.Entry> e : ordered) {
          values(path, channel, e.getKey(), e.getValue());
        }
        if (checked) {
          Checksum.seal(channel);
        }
        channel.force(true);
      }
      Files.move(part, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      forceFolder(path);
    } catch (IOException e) {
      throw new ReverieException(
          "safetensors: " + path + " cannot be written: " + e,
          "check folder, permissions and free space",
          e);
    } finally {
      deleteQuietly(part);
    }
  }

  /** The header with its length before it and spaces after it, so that the data is aligned. */
  private static ByteBuffer header(
      List<Map.Entry<String, Safetensors.Entry>> entries, Map<String, String> metadata) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json =
        new JsonFactory().createGenerator(ObjectWriteContext.empty(), bytes)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeName("__metadata__");
        json.writeStartObject();
        new TreeMap<>(metadata).forEach(json::writeStringProperty);
        json.writeEndObject();
      }
      long place = 0;
      for (Map.Entry<String, Safetensors.Entry> e : entries) {
        Safetensors.Entry entry = e.getValue();
        long end = place + entry.shape().size() * entry.dtype().bytes();
        int[] dims = entry.shape().dims();
        json.writeName(e.getKey());
        json.writeStartObject();
        json.writeStringProperty("dtype", entry.dtype().name());
        json.writeName("shape");
        json.writeArray(dims, 0, dims.length);
        json.writeName("data_offsets");
        json.writeArray(new long[] {place, end}, 0, 2);
        json.writeEndObject();
        place = end;
      }
      json.writeEndObject();
    }
    while ((Long.BYTES + bytes.size()) % ALIGNMENT != 0) {
      bytes.write(' ');
    }
    ByteBuffer out = ByteBuffer.allocate(Long.BYTES + bytes.size()).order(ByteOrder.LITTLE_ENDIAN);
    return out.putLong(bytes.size()).put(bytes.toByteArray()).flip();
  }

  private static void values(Path path, FileChannel channel, String name, Safetensors.Entry entry)
      throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);
    long[] written = {0};
    try {
      entry
          .values()
          .forEachPiece(piece -> {
            written[0] += piece.length;
            for (float value : piece) {
              put(path, channel, name, entry.dtype(), value, buffer);
            }
          });
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
    if (written[0] != entry.shape().size()) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "safetensors: %s: tensor \"%s\": expected %d values for shape %s, got %d",
              path,
              name,
              entry.shape().size(),
              entry.shape(),
              written[0]));
    }
    writeFully(channel, buffer.flip());
  }

  private static void put(
      Path path, FileChannel channel, String name, DType dtype, float value, ByteBuffer buffer) {
    if (buffer.remaining() < dtype.bytes()) {
      try {
        writeFully(channel, buffer.flip());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      buffer.clear();
    }
    if (Float.isFinite(value) && Double.isInfinite(dtype.round(value))) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "safetensors: %s: tensor \"%s\": expected values that %s can hold, got %s",
              path,
              name,
              dtype,
              value),
          "write it as F32");
    }
    switch (dtype) {
      case F16 -> buffer.putShort(Float.floatToFloat16(value));
      case BF16 -> buffer.putShort((short) DType.bf16Bits(value));
      default -> buffer.putFloat(value);
    }
  }

  private static void writeFully(FileChannel channel, ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
  }

  /** Makes the new name itself durable, where folders can be opened (not on Windows). */
  private static void forceFolder(Path path) {
    try (FileChannel folder =
        FileChannel.open(path.toAbsolutePath().getParent(), StandardOpenOption.READ)) {
      folder.force(true);
    } catch (IOException e) {
      // The file itself is safe; that its name survives a power cut is a service of some systems
      // only.
    }
  }

  private static void deleteQuietly(Path part) {
    try {
      Files.deleteIfExists(part);
    } catch (IOException e) {
      // The reason why writing failed matters more.
    }
  }
}
