// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;

/**
 * The header of an untrusted safetensors file: after {@link #read} every tensor has a known type, a
 * shape that agrees with its bytes, and bytes of its own inside the file, without gaps.
 *
 * @param dataStart the file position that offsets count from
 */
record SafetensorsHeader(Map<String, Entry> tensors, Map<String, String> metadata, long dataStart) {
  private static final String DAMAGED =
      "the file is damaged, incomplete or not in the safetensors format";

  /** Bytes of a header: a hundred times that of the largest diffusion models. */
  private static final long MAX_BYTES = 1 << 25;

  private static final int MAX_DIMENSIONS = 16;
  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** A tensor's type, shape and place, in bytes from the start of the data. */
  record Entry(DType dtype, Shape shape, long begin, long end) {}

  static SafetensorsHeader read(Path path, MemorySegment file) {
    return new Reader(path, file).read();
  }

  /** Reads one header; holds what its errors name. */
  private static final class Reader {
    private final Path path;
    private final MemorySegment file;
    private final Map<String, Entry> tensors = new LinkedHashMap<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();

    Reader(Path path, MemorySegment file) {
      this.path = path;
      this.file = file;
    }

    SafetensorsHeader read() {
      if (file.byteSize() < Long.BYTES) {
        throw error("expected at least 8 bytes, got " + file.byteSize());
      }
      long length = file.get(LENGTH, 0);
      long largest = Math.min(MAX_BYTES, file.byteSize() - Long.BYTES);
      if (length < 0 || length > largest) {
        throw error(
            "expected a header of at most "
                + largest
                + " bytes, got the length "
                + Long.toUnsignedString(length));
      }
      String json = decode(file.asSlice(Long.BYTES, length));
      try (JsonParser parser = JsonText.FACTORY.createParser(ObjectReadContext.empty(), json)) {
        header(parser);
      } catch (JacksonException e) {
        throw error(
            "expected a header in JSON, got " + ReverieException.shown(e.getOriginalMessage()));
      }
      long dataStart = Long.BYTES + length;
      checkPlaces(file.byteSize() - dataStart);
      return new SafetensorsHeader(tensors, metadata, dataStart);
    }

    private static String what(String tensor) {
      return "tensor \"" + ReverieException.shown(tensor) + "\": ";
    }

    private String decode(MemorySegment bytes) {
      try {
        return StandardCharsets.UTF_8.newDecoder().decode(bytes.asByteBuffer()).toString();
      } catch (CharacterCodingException e) {
        throw error("expected a header in UTF-8, got other bytes");
      }
    }

    private void header(JsonParser parser) {
      require(
          parser.nextToken() == JsonToken.START_OBJECT, "the header: expected an object", parser);
      while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
        String name = parser.currentName();
        require(
            parser.nextToken() == JsonToken.START_OBJECT,
            what(name) + "expected an object",
            parser);
        if (name.equals("__metadata__")) {
          metadata(parser);
        } else {
          tensors.put(name, tensor(name, parser));
        }
      }
      require(parser.nextToken() == null, "the header: expected nothing after the object", parser);
    }

    private void metadata(JsonParser parser) {
      while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
        String key = parser.currentName();
        require(
            parser.nextToken() == JsonToken.VALUE_STRING,
            "metadata \"" + ReverieException.shown(key) + "\": expected a string",
            parser);
        metadata.put(key, parser.getString());
      }
    }

    private Entry tensor(String name, JsonParser parser) {
      String what = what(name);
      DType dtype = null;
      long[] dims = null;
      long[] offsets = null;
      while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
        String key = parser.currentName();
        parser.nextToken();
        switch (key) {
          case "dtype" -> dtype = dtype(what, parser);
          case "shape" -> dims = numbers(what + "shape: ", parser);
          case "data_offsets" -> offsets = numbers(what + "data_offsets: ", parser);
          default ->
              throw error(
                  what
                      + "expected dtype, shape and data_offsets, got \""
                      + ReverieException.shown(key)
                      + "\"");
        }
      }
      if (dtype == null || dims == null || offsets == null) {
        throw error(what + "expected dtype, shape and data_offsets, got only some of them");
      }
      if (offsets.length != 2 || offsets[0] > offsets[1]) {
        throw error(what + "expected data_offsets [begin, end], got " + Arrays.toString(offsets));
      }
      Entry entry = new Entry(dtype, shape(what, dims), offsets[0], offsets[1]);
      long bytes = offsets[1] - offsets[0];
      if (bytes != entry.shape().size() * dtype.bytes()) {
        throw error(
            what
                + "expected "
                + entry.shape().size() * dtype.bytes()
                + " bytes for "
                + dtype
                + entry.shape()
                + ", got "
                + bytes);
      }
      return entry;
    }

    private DType dtype(String what, JsonParser parser) {
      require(
          parser.currentToken() == JsonToken.VALUE_STRING,
          what + "dtype: expected a string",
          parser);
      String name = parser.getString();
      for (DType dtype : DType.values()) {
        if (dtype.name().equals(name)) {
          return dtype;
        }
      }
      throw new ReverieException(
          prefix()
              + what
              + "expected a dtype of "
              + Arrays.toString(DType.values())
              + ", got \""
              + ReverieException.shown(name)
              + "\"",
          "convert the tensor to one of these");
    }

    /** An array of whole numbers of at least 0. */
    private long[] numbers(String what, JsonParser parser) {
      require(parser.currentToken() == JsonToken.START_ARRAY, what + "expected an array", parser);
      List<Long> numbers = new ArrayList<>();
      while (parser.nextToken() != JsonToken.END_ARRAY) {
        require(
            parser.currentToken() == JsonToken.VALUE_NUMBER_INT && parser.getLongValue() >= 0,
            what + "expected whole numbers of at least 0",
            parser);
        if (numbers.size() == MAX_DIMENSIONS) {
          throw error(what + "expected at most " + MAX_DIMENSIONS + " numbers, got more");
        }
        numbers.add(parser.getLongValue());
      }
      return numbers.stream().mapToLong(Long::longValue).toArray();
    }

    private Shape shape(String what, long[] dims) {
      long bytes = Long.BYTES;
      boolean fits = true;
      for (long d : dims) {
        fits &= d <= Integer.MAX_VALUE && Math.multiplyHigh(bytes, d) == 0 && bytes * d >= 0;
        bytes *= d;
      }
      if (!fits) {
        throw error(what + "expected a shape that a file can hold, got " + Arrays.toString(dims));
      }
      return Shape.of(Arrays.stream(dims).mapToInt(d -> (int) d).toArray());
    }

    /** Tensors must fill the data one after the other, whatever order the header has. */
    private void checkPlaces(long dataBytes) {
      long end = 0;
      String before = "the start";
      List<Map.Entry<String, Entry>> byPlace = new ArrayList<>(tensors.entrySet());
      byPlace.sort(
          Comparator.<Map.Entry<String, Entry>>comparingLong(e -> e.getValue().begin())
              .thenComparingLong(e -> e.getValue().end()));
      for (Map.Entry<String, Entry> tensor : byPlace) {
        Entry place = tensor.getValue();
        String what = what(tensor.getKey());
        if (place.end() > dataBytes) {
          throw error(
              what + "expected to end by byte " + dataBytes + " of the data, got " + place.end());
        }
        if (place.begin() != end) {
          throw error(
              what
                  + "expected to begin at byte "
                  + end
                  + " after "
                  + before
                  + ", got "
                  + place.begin());
        }
        end = place.end();
        before = "\"" + ReverieException.shown(tensor.getKey()) + "\"";
      }
      if (end != dataBytes) {
        throw error("expected " + end + " bytes of data, got " + dataBytes);
      }
    }

    private void require(boolean holds, String expected, JsonParser parser) {
      if (!holds) {
        throw error(
            expected
                + ", got "
                + (parser.currentToken() == null
                    ? "the end"
                    : ReverieException.shown(parser.getString())));
      }
    }

    private ReverieException error(String message) {
      return new ReverieException(prefix() + message, DAMAGED);
    }

    private String prefix() {
      return "safetensors: " + path + ": ";
    }
  }
}
