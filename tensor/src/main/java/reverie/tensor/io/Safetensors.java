// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Function;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/**
 * Named arrays in the safetensors format: a JSON header, then the values, little-endian. The header
 * is checked in full when a file is opened, so that a damaged or hostile file is an error that
 * names file and tensor; values are mapped into memory while they are read. An array in several
 * files is opened by their index, {@code *.safetensors.index*.json}.
 *
 * <pre>{@code
 * try (Safetensors file = Safetensors.open(path)) {
 *   for (String name : file.names()) {
 *     Tensor values = file.tensor(name, Device.cpu());
 *   }
 * }
 * }</pre>
 *
 * <p>{@link #tensor}, {@link #write} and {@link Entry#of(Tensor)} move values in pieces, so that
 * the heap holds little of a model of any size.
 */
public final class Safetensors implements AutoCloseable {

  /** Values moved at once. */
  private static final int PIECE = 1 << 18;

  private final Path path;
  private final List<FileChannel> channels = new ArrayList<>();
  private final Map<String, StoredTensor> tensors = new LinkedHashMap<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();

  private Safetensors(Path path) {
    this.path = path;
  }

  /**
   * Opens a file, or all files that an index names, and checks the headers.
   *
   * @param path of a safetensors file, or of an index, which ends in {@code .json}
   * @throws ReverieException if a file cannot be read or is not sound, or an index names a tensor
   *     that is not where it says
   */
  public static Safetensors open(Path path) {
    Safetensors opened = new Safetensors(path);
    try {
      if (path.toString().endsWith(".json")) {
        opened.addShards(ShardIndex.read(path));
      } else {
        opened.add(path, header -> header.tensors().keySet());
      }
      return opened;
    } catch (RuntimeException e) {
      opened.close();
      throw e;
    }
  }

  private void addShards(ShardIndex index) {
    index
        .files()
        .forEach((file, names) ->
            add(
                path.resolveSibling(file),
                header -> {
                  for (String name : names) {
                    if (!header.tensors().containsKey(name)) {
                      throw new ReverieException(
                          String.format(
                              Locale.ROOT,
                              "safetensors: %s: expected tensor \"%s\" in %s, which has none",
                              path,
                              ReverieException.shown(name),
                              file),
                          "index and files do not belong together; download the model again");
                    }
                  }
                  return names;
                }));
  }

  private void add(Path file, Function<SafetensorsHeader, Collection<String>> chosen) {
    StoredBytes bytes = bytes(file);
    SafetensorsHeader header = bytes.read(memory -> SafetensorsHeader.read(file, memory));
    for (String name : chosen.apply(header)) {
      SafetensorsHeader.Entry e = header.tensors().get(name);
      StoredBytes part = bytes.part(header.dataStart() + e.begin(), header.dataStart() + e.end());
      tensors.put(name, new StoredTensor(path, name, e.dtype(), e.shape(), part));
    }
    header.metadata().forEach(metadata::putIfAbsent);
  }

  private StoredBytes bytes(Path file) {
    if (!Files.isRegularFile(file)) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "safetensors: %s %s",
              file,
              Files.isDirectory(file) ? "is a folder" : "does not exist"),
          file.equals(path)
              ? "give the path of a safetensors file"
              : "the index names it; the download may be incomplete");
    }
    try {
      FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
      channels.add(channel);
      return StoredBytes.of(file, channel);
    } catch (IOException e) {
      throw new ReverieException(
          "safetensors: " + file + " cannot be read: " + e, "check path and permissions", e);
    }
  }

  /**
   * Opens a file that {@link #writeChecked} wrote, and reads it once to see that no bit of it has
   * changed.
   *
   * @throws ReverieException if one has, or the file holds no checksum
   */
  public static Safetensors openChecked(Path path) {
    Safetensors file = open(path);
    String sum = file.metadata.remove(Checksum.KEY);
    if (sum == null || !file.bytes(path).read(all -> Checksum.holds(all, sum))) {
      file.close();
      throw new ReverieException(
          "safetensors: "
              + path
              + (sum == null ? " holds no checksum" : " is damaged: its checksum is wrong"),
          "take a copy of the file from before it was changed");
    }
    return file;
  }

  /**
   * Writes a file in one piece: either all of it is there under this name, on the disk, or the old
   * file is untouched. The same content gives the same bytes.
   */
  public static void write(Path path, Map<String, Entry> entries, Map<String, String> metadata) {
    SafetensorsWriter.write(path, entries, metadata, false);
  }

  /**
   * Writes a file as {@link #write} does, with a checksum of all of it in its metadata, for {@link
   * #openChecked}.
   */
  public static void writeChecked(
      Path path, Map<String, Entry> entries, Map<String, String> metadata) {
    Map<String, String> more = new TreeMap<>(metadata);
    more.put(Checksum.KEY, Checksum.BLANK);
    SafetensorsWriter.write(path, entries, more, true);
  }

  /** Where the values of an array to write come from, asked when it is its turn. */
  @FunctionalInterface
  public interface Values {
    /** Hands over all values in row-major order, in pieces of any size. */
    void forEachPiece(Consumer<float[]> piece);
  }

  /**
   * An array to write.
   *
   * @param dtype how it is stored: {@code F32}, {@code F16} or {@code BF16}
   * @param values as many as the shape has elements
   */
  public record Entry(DType dtype, Shape shape, Values values) {
    /** Checks the type. */
    public Entry {
      if (dtype != DType.F32 && dtype != DType.F16 && dtype != DType.BF16) {
        throw new ReverieException("safetensors: expected to write F32, F16 or BF16, got " + dtype);
      }
    }

    /** Values that are there already, in row-major order, not copied. */
    public Entry(DType dtype, Shape shape, float... values) {
      this(dtype, shape, piece -> piece.accept(values));
      if (shape.size() != values.length) {
        throw new ReverieException(
            "safetensors: expected "
                + shape.size()
                + " values for shape "
                + shape
                + ", got "
                + values.length);
      }
    }

    /** A tensor as F32, which must live until it is written. */
    public static Entry of(Tensor tensor) {
      return new Entry(
          DType.F32,
          tensor.shape(),
          piece -> {
            try (Scope _ = Scope.open("write")) {
              int size = Math.toIntExact(tensor.size());
              Tensor flat = tensor.contiguous().reshape(size);
              for (int from = 0; from < size; from += PIECE) {
                int to = (int) Math.min((long) from + PIECE, size);
                piece.accept(flat.slice(0, from, to).toFloats());
              }
            }
          });
    }

    /** The same values in another type. */
    public Entry as(DType other) {
      return new Entry(other, shape, values);
    }
  }

  /** Names of all tensors, in the order of the header. */
  public Set<String> names() {
    return Collections.unmodifiableSet(tensors.keySet());
  }

  /** The free text of the file's {@code __metadata__}; empty if it has none. */
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(metadata);
  }

  /** A tensor's shape. */
  public Shape shape(String name) {
    return find(name).shape();
  }

  /** A tensor's type in the file. */
  public DType dtype(String name) {
    return find(name).dtype();
  }

  /** A floating-point tensor on a device, in the device's type. */
  public Tensor tensor(String name, Device device) {
    Tensor out = device.unset(device.floatType(), shape(name).dims());
    read(name, out);
    return out;
  }

  /**
   * A floating-point tensor into one that is there.
   *
   * @param target contiguous, of the same shape
   */
  public void read(String name, Tensor target) {
    StoredTensor stored = find(name);
    int size = stored.length();
    if (stored.dtype() == target.dtype()) {
      try (Scope _ = Scope.open("read")) {
        Tensor flat = target.reshape(size);
        stored
            .bytes()
            .read(values -> {
              flat.assign(values);
              return flat;
            });
      }
      return;
    }
    try (Scope _ = Scope.open("read")) {
      Tensor flat = target.reshape(size);
      for (int from = 0; from < size; from += PIECE) {
        int to = (int) Math.min((long) from + PIECE, size);
        Tensor piece = flat.slice(0, from, to);
        if (stored.dtype() == DType.F64) {
          piece.assign(stored.doubles(from, to));
        } else {
          piece.assign(stored.floats(from, to));
        }
      }
    }
  }

  /** Values of a floating-point tensor in row-major order; F64 is rounded. */
  public float[] floats(String name) {
    StoredTensor stored = find(name);
    return stored.floats(0, stored.length());
  }

  /** Whether no value of a floating-point tensor is NaN or infinite. */
  public boolean isFinite(String name) {
    StoredTensor stored = find(name);
    int length = stored.length();
    for (int from = 0; from < length; from += PIECE) {
      for (float value : stored.floats(from, Math.min(length, from + PIECE))) {
        if (!Float.isFinite(value)) {
          return false;
        }
      }
    }
    return true;
  }

  /** Values of a floating-point tensor in row-major order, without rounding. */
  public double[] doubles(String name) {
    StoredTensor stored = find(name);
    return stored.doubles(0, stored.length());
  }

  /** Values of an integer tensor in row-major order. */
  public long[] longs(String name) {
    return find(name).longs();
  }

  @Override
  public void close() {
    for (FileChannel channel : channels) {
      try {
        channel.close();
      } catch (IOException e) {
        // Nothing was written to it.
      }
    }
  }

  private StoredTensor find(String name) {
    StoredTensor stored = tensors.get(name);
    if (stored == null) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "safetensors: %s: expected a tensor \"%s\", got %d others",
              path,
              ReverieException.shown(name),
              tensors.size()),
          "names() lists what the file holds");
    }
    return stored;
  }
}
