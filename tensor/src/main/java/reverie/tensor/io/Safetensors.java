// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;

/**
 * A file of named arrays in the safetensors format: a JSON header, then the values, little-endian.
 * The file is mapped into memory and its header checked in full when opened, so that a damaged or
 * hostile file is an error that names file and tensor, and reading values cannot fail later.
 *
 * <pre>{@code
 * try (Safetensors file = Safetensors.open(path)) {
 *   for (String name : file.names()) {
 *     float[] values = file.floats(name);
 *   }
 * }
 * }</pre>
 */
public final class Safetensors implements AutoCloseable {
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path path;
  private final Arena arena;
  private final MemorySegment memory;
  private final SafetensorsHeader header;

  private Safetensors(Path path, Arena arena, MemorySegment memory) {
    this.path = path;
    this.arena = arena;
    this.memory = memory;
    this.header = SafetensorsHeader.read(path, memory);
  }

  /**
   * Opens a file and checks its header.
   *
   * @throws ReverieException if it cannot be read or is not a sound safetensors file
   */
  public static Safetensors open(Path path) {
    if (!Files.isRegularFile(path)) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "safetensors: %s %s",
              path,
              Files.isDirectory(path) ? "is a folder" : "does not exist"),
          "give the path of a safetensors file");
    }
    Arena arena = Arena.ofShared();
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      return new Safetensors(
          path, arena, channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena));
    } catch (IOException e) {
      arena.close();
      throw new ReverieException(
          "safetensors: " + path + " cannot be read: " + e, "check path and permissions", e);
    } catch (RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  /**
   * Writes a file in one piece: either all of it is there under this name, on the disk, or the old
   * file is untouched. The same content gives the same bytes.
   */
  public static void write(Path path, Map<String, Entry> entries, Map<String, String> metadata) {
    SafetensorsWriter.write(path, entries, metadata);
  }

  /**
   * An array to write.
   *
   * @param dtype how it is stored: {@code F32}, {@code F16} or {@code BF16}
   * @param values in row-major order, not copied
   */
  public record Entry(DType dtype, Shape shape, float... values) {
    /** Checks that values and shape agree. */
    public Entry {
      if (shape.size() != values.length) {
        throw new ReverieException(
            "safetensors: expected "
                + shape.size()
                + " values for shape "
                + shape
                + ", got "
                + values.length);
      }
      if (dtype != DType.F32 && dtype != DType.F16 && dtype != DType.BF16) {
        throw new ReverieException("safetensors: expected to write F32, F16 or BF16, got " + dtype);
      }
    }
  }

  /** Names of all tensors, in the order of the header. */
  public Set<String> names() {
    return Collections.unmodifiableSet(header.tensors().keySet());
  }

  /** The free text of the file's {@code __metadata__}; empty if it has none. */
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(header.metadata());
  }

  /** A tensor's shape. */
  public Shape shape(String name) {
    return find(name).shape();
  }

  /** A tensor's type in the file. */
  public DType dtype(String name) {
    return find(name).dtype();
  }

  /** Values of a floating-point tensor in row-major order; F64 is rounded. */
  public float[] floats(String name) {
    SafetensorsHeader.Entry entry = find(name);
    MemorySegment bytes = bytes(entry);
    float[] out = new float[length(name, entry)];
    switch (entry.dtype()) {
      case F32 -> MemorySegment.copy(bytes, FLOAT, 0, out, 0, out.length);
      case F64 -> {
        for (int i = 0; i < out.length; i++) {
          out[i] = (float) bytes.getAtIndex(DOUBLE, i);
        }
      }
      case F16 -> {
        for (int i = 0; i < out.length; i++) {
          out[i] = Float.float16ToFloat(bytes.getAtIndex(SHORT, i));
        }
      }
      case BF16 -> {
        for (int i = 0; i < out.length; i++) {
          out[i] = Float.intBitsToFloat(bytes.getAtIndex(SHORT, i) << 16);
        }
      }
      case I32, I64, U8 ->
          throw wrongType(name, entry, "a floating-point type", "read it with longs(name)");
    }
    return out;
  }

  /** Values of a floating-point tensor in row-major order, without rounding. */
  public double[] doubles(String name) {
    SafetensorsHeader.Entry entry = find(name);
    double[] out = new double[length(name, entry)];
    if (entry.dtype() == DType.F64) {
      MemorySegment.copy(bytes(entry), DOUBLE, 0, out, 0, out.length);
    } else {
      float[] narrow = floats(name);
      for (int i = 0; i < out.length; i++) {
        out[i] = narrow[i];
      }
    }
    return out;
  }

  /** Values of an integer tensor in row-major order. */
  public long[] longs(String name) {
    SafetensorsHeader.Entry entry = find(name);
    MemorySegment bytes = bytes(entry);
    long[] out = new long[length(name, entry)];
    switch (entry.dtype()) {
      case I64 -> MemorySegment.copy(bytes, LONG, 0, out, 0, out.length);
      case I32 -> {
        for (int i = 0; i < out.length; i++) {
          out[i] = bytes.getAtIndex(INT, i);
        }
      }
      case U8 -> {
        for (int i = 0; i < out.length; i++) {
          out[i] = bytes.get(ValueLayout.JAVA_BYTE, i) & 0xff;
        }
      }
      case F32, F64, F16, BF16 ->
          throw wrongType(
              name, entry, "an integer type", "read it with floats(name) or doubles(name)");
    }
    return out;
  }

  /** Ends the mapping. */
  @Override
  public void close() {
    arena.close();
  }

  private SafetensorsHeader.Entry find(String name) {
    SafetensorsHeader.Entry entry = header.tensors().get(name);
    if (entry == null) {
      throw new ReverieException(
          "safetensors: "
              + path
              + ": expected a tensor \""
              + name
              + "\", got "
              + header.tensors().size()
              + " others",
          "names() lists what the file holds");
    }
    return entry;
  }

  private MemorySegment bytes(SafetensorsHeader.Entry entry) {
    return memory.asSlice(header.dataStart() + entry.begin(), entry.end() - entry.begin());
  }

  private int length(String name, SafetensorsHeader.Entry entry) {
    if (entry.shape().size() > Integer.MAX_VALUE - 8) {
      throw wrongType(name, entry, "at most 2147483639 elements", "split the tensor");
    }
    return (int) entry.shape().size();
  }

  private ReverieException wrongType(
      String name, SafetensorsHeader.Entry entry, String expected, String hint) {
    return new ReverieException(
        "safetensors: "
            + path
            + ": tensor \""
            + name
            + "\": expected "
            + expected
            + ", got "
            + entry.dtype()
            + entry.shape(),
        hint);
  }
}
