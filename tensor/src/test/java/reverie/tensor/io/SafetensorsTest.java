// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Shape;
import reverie.tensor.io.Safetensors.Entry;

class SafetensorsTest {
  @TempDir Path folder;

  private Path file(byte[] header, byte[] data) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.allocate(8 + header.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(header.length).put(header).put(data);
    return Files.write(folder.resolve("test.safetensors"), bytes.array());
  }

  private Path file(String header, int... data) throws IOException {
    byte[] bytes = new byte[data.length];
    for (int i = 0; i < data.length; i++) {
      bytes[i] = (byte) data[i];
    }
    return file(header.replace('\'', '"').getBytes(StandardCharsets.UTF_8), bytes);
  }

  private static ReverieException opening(Path path) {
    return assertThrows(ReverieException.class, () -> Safetensors.open(path).close());
  }

  @Test
  void readsEveryType() throws IOException {
    ByteBuffer data = ByteBuffer.allocate(39).order(ByteOrder.LITTLE_ENDIAN);
    data.putDouble(0.1).putLong(-5_000_000_000L).putFloat(0.1f).putInt(-7).putShort((short) 0x3555);
    data.putShort((short) 0xBF80).put((byte) 200).put(new byte[10]);
    String header =
        """
        {"__metadata__":{"format":"pt"},
         "f64":{"dtype":"F64","shape":[],"data_offsets":[0,8]},
         "i64":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},
         "f32":{"dtype":"F32","shape":[1,1],"data_offsets":[16,20]},
         "i32":{"dtype":"I32","shape":[1],"data_offsets":[20,24]},
         "f16":{"dtype":"F16","shape":[1],"data_offsets":[24,26]},
         "bf16":{"dtype":"BF16","shape":[1],"data_offsets":[26,28]},
         "u8":{"dtype":"U8","shape":[11],"data_offsets":[28,39]},
         "none":{"dtype":"F32","shape":[3,0],"data_offsets":[39,39]}}\
        """;
    try (Safetensors file =
        Safetensors.open(file(header.getBytes(StandardCharsets.UTF_8), data.array()))) {
      assertEquals(Map.of("format", "pt"), file.metadata());
      assertEquals(
          List.of("f64", "i64", "f32", "i32", "f16", "bf16", "u8", "none"),
          List.copyOf(file.names()));
      assertArrayEquals(new double[] {0.1}, file.doubles("f64"));
      assertArrayEquals(new float[] {0.1f}, file.floats("f64"));
      assertArrayEquals(new long[] {-5_000_000_000L}, file.longs("i64"));
      assertArrayEquals(new float[] {0.1f}, file.floats("f32"));
      assertArrayEquals(new double[] {0.1f}, file.doubles("f32"));
      assertArrayEquals(new long[] {-7}, file.longs("i32"));
      assertArrayEquals(new float[] {0.333251953125f}, file.floats("f16"));
      assertArrayEquals(new float[] {-1}, file.floats("bf16"));
      assertEquals(200, file.longs("u8")[0]);
      assertEquals(0, file.floats("none").length);
      assertEquals(Shape.of(1, 1), file.shape("f32"));
      assertEquals(Shape.of(), file.shape("f64"));
      assertEquals(DType.BF16, file.dtype("bf16"));
      String wrong = assertThrows(ReverieException.class, () -> file.floats("i64")).getMessage();
      assertTrue(
          wrong.contains("tensor \"i64\": expected a floating-point type, got I64[1]"), wrong);
      assertTrue(wrong.contains("hint: read it with longs(name)"), wrong);
      assertThrows(ReverieException.class, () -> file.longs("f16"));
      String missing = assertThrows(ReverieException.class, () -> file.floats("F64")).getMessage();
      assertTrue(missing.contains("expected a tensor \"F64\", got 8 others"), missing);
    }
  }

  @Test
  void givesBackWhatWasWritten() throws IOException {
    Path path = folder.resolve("model.safetensors");
    float[] values = {1, -2.5f, 3e-8f, Float.NaN, Float.NEGATIVE_INFINITY, 65504};
    Map<String, Entry> entries =
        Map.of(
            "b.weight", new Entry(DType.F32, Shape.of(2, 3), values),
            "a \"quoted\" ü", new Entry(DType.F16, Shape.of(6), values),
            "c", new Entry(DType.BF16, Shape.of(3, 1, 2), values),
            "empty", new Entry(DType.F32, Shape.of(0)),
            "scalar", new Entry(DType.F32, Shape.of(), 4));
    Safetensors.write(path, entries, Map.of("format", "pt", "note", "x"));
    try (Safetensors file = Safetensors.open(path)) {
      assertEquals(entries.keySet(), file.names());
      assertEquals(Map.of("format", "pt", "note", "x"), file.metadata());
      for (Map.Entry<String, Entry> e : entries.entrySet()) {
        Entry written = e.getValue();
        assertEquals(written.shape(), file.shape(e.getKey()));
        assertEquals(written.dtype(), file.dtype(e.getKey()));
        written
            .values()
            .forEachPiece(piece -> {
              float[] rounded = new float[piece.length];
              for (int i = 0; i < rounded.length; i++) {
                rounded[i] = (float) written.dtype().round(piece[i]);
              }
              assertArrayEquals(rounded, file.floats(e.getKey()));
            });
      }
    }
    byte[] first = Files.readAllBytes(path);
    assertEquals(0, (8 + ByteBuffer.wrap(first).order(ByteOrder.LITTLE_ENDIAN).getLong()) % 8);
    Safetensors.write(path, entries, Map.of("note", "x", "format", "pt"));
    assertArrayEquals(first, Files.readAllBytes(path));
    try (var files = Files.list(folder)) {
      assertEquals(List.of(path), files.toList());
    }
  }

  @Test
  void writesMoreThanOneBuffer() {
    Path path = folder.resolve("large.safetensors");
    float[] values = new float[50_003];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    Safetensors.write(path, Map.of("x", new Entry(DType.F32, Shape.of(50_003), values)), Map.of());
    try (Safetensors file = Safetensors.open(path)) {
      assertArrayEquals(values, file.floats("x"));
      assertTrue(file.metadata().isEmpty());
    }
  }

  @Test
  void aFailedWriteLeavesTheOldFile() throws IOException {
    Path path = folder.resolve("model.safetensors");
    Safetensors.write(path, Map.of("x", new Entry(DType.F32, Shape.of(1), 1)), Map.of());
    byte[] before = Files.readAllBytes(path);
    Map<String, Entry> tooLarge = Map.of("x", new Entry(DType.F16, Shape.of(1), 1e6f));
    String message =
        assertThrows(ReverieException.class, () -> Safetensors.write(path, tooLarge, Map.of()))
            .getMessage();
    assertTrue(
        message.contains("tensor \"x\": expected values that F16 can hold, got 1000000.0"),
        message);
    assertArrayEquals(before, Files.readAllBytes(path));
    assertFalse(Files.exists(folder.resolve("model.safetensors.part")));
  }

  @Test
  void refusesWhatItCannotWrite() {
    assertThrows(ReverieException.class, () -> new Entry(DType.F32, Shape.of(2), 1));
    assertThrows(ReverieException.class, () -> new Entry(DType.I64, Shape.of(1), 1));
    Map<String, Entry> reserved = Map.of("__metadata__", new Entry(DType.F32, Shape.of(1), 1));
    Path path = folder.resolve("x");
    assertThrows(ReverieException.class, () -> Safetensors.write(path, reserved, Map.of()));
    Path nowhere = folder.resolve("missing").resolve("x");
    String message =
        assertThrows(ReverieException.class, () -> Safetensors.write(nowhere, Map.of(), Map.of()))
            .getMessage();
    assertTrue(message.contains("cannot be written"), message);
  }

  /** The data of each case is 4 bytes. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      textBlock =
          """
          []                                                              | the header: expected an object, got [
          {} x                                                            | expected a header in JSON
          {} {}                                                           | expected nothing after the object, got {
          {'x':                                                           | expected a header in JSON
          {'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}           | expected a header in JSON
          {'x':3}                                                         | tensor "x": expected an object, got 3
          {'x':{'dtype':'F32','shape':[1]}}                               | got only some of them
          {'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4],'y':1}}    | got "y"
          {'x':{'dtype':'F31','shape':[1],'data_offsets':[0,4]}}          | got "F31"
          {'x':{'dtype':32,'shape':[1],'data_offsets':[0,4]}}             | dtype: expected a string, got 32
          {'x':{'dtype':'F32','shape':1,'data_offsets':[0,4]}}            | shape: expected an array, got 1
          {'x':{'dtype':'F32','shape':[-1],'data_offsets':[0,4]}}         | whole numbers of at least 0, got -1
          {'x':{'dtype':'F32','shape':[1.0],'data_offsets':[0,4]}}        | whole numbers of at least 0, got 1.0
          {'x':{'dtype':'F32','shape':[99999999999999999999],'data_offsets':[0,4]}} | expected a header in JSON
          {'x':{'dtype':'F32','shape':[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],'data_offsets':[0,4]}} | shape: expected at most 16
          {'\\u001b[31m':3}                                              | tensor "\\u001b[31m": expected an object
          {'x':{'dtype':'F32','shape':[4294967297],'data_offsets':[0,4]}} | a shape that a file can hold
          {'x':{'dtype':'F32','shape':[2147483647,2147483647,2147483647,8],'data_offsets':[0,4]}} | a shape that a file
          {'x':{'dtype':'F32','shape':[2],'data_offsets':[0,4]}}          | expected 8 bytes for F32[2], got 4
          {'x':{'dtype':'F16','shape':[1],'data_offsets':[0,4]}}          | expected 2 bytes for F16[1], got 4
          {'x':{'dtype':'F32','shape':[1],'data_offsets':[4,0]}}          | data_offsets [begin, end], got [4, 0]
          {'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4,8]}}        | data_offsets [begin, end], got [0, 4, 8]
          {'x':{'dtype':'F32','shape':[1],'data_offsets':[1,5]}}          | to end by byte 4 of the data, got 5
          {'x':{'dtype':'U8','shape':[3],'data_offsets':[1,4]}}           | to begin at byte 0 after the start, got 1
          {'x':{'dtype':'U8','shape':[3],'data_offsets':[0,3]}}           | expected 3 bytes of data, got 4
          {'x':{'dtype':'U8','shape':[3],'data_offsets':[0,3]},'y':{'dtype':'U8','shape':[2],'data_offsets':[2,4]}} \
          | tensor "y": expected to begin at byte 3 after "x", got 2
          {'x':{'dtype':'U8','shape':[2],'data_offsets':[0,2]},'x':{'dtype':'U8','shape':[2],'data_offsets':[2,4]}} \
          | Duplicate
          {'__metadata__':{'a':1},'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}} | metadata "a": expected a string
          """)
  void refusesUnsoundHeaders(String header, String expected) throws IOException {
    Path path = file(header, 0, 0, 0, 0);
    String message = opening(path).getMessage();
    assertTrue(message.startsWith("safetensors: " + path + ": "), message);
    assertTrue(message.contains(expected), message);
    assertTrue(message.contains("\nhint: "), message);
  }

  @Test
  void refusesUnsoundFiles() throws IOException {
    Path path = folder.resolve("x.safetensors");
    assertTrue(opening(path).getMessage().contains(path + " does not exist"));
    assertTrue(opening(folder).getMessage().contains(folder + " is a folder"));
    assertTrue(opening(folder.getRoot()).getMessage().contains(folder.getRoot() + " is a folder"));
    assertTrue(
        opening(Files.write(path, new byte[7]))
            .getMessage()
            .contains("expected at least 8 bytes, got 7"));
    byte[] long9 = {9, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    assertTrue(
        opening(Files.write(path, long9))
            .getMessage()
            .contains("at most 2 bytes, got the length 9"));
    byte[] negative = {-1, -1, -1, -1, -1, -1, -1, -1, '{', '}'};
    assertTrue(
        opening(Files.write(path, negative))
            .getMessage()
            .contains("got the length 18446744073709551615"));
    assertTrue(
        opening(file(new byte[] {'{', (byte) 0xff, '}'}, new byte[0]))
            .getMessage()
            .contains("in UTF-8"));
  }

  /**
   * Whatever happens to a file, opening it gives a sound file or one clear error, never anything
   * else.
   */
  @Test
  void survivesDamage() throws IOException {
    Path path = folder.resolve("model.safetensors");
    Map<String, Entry> entries =
        Map.of(
            "a",
            new Entry(DType.F32, Shape.of(2), 1, 2),
            "b",
            new Entry(DType.F16, Shape.of(3, 1), 1, 2, 3));
    Safetensors.write(path, entries, Map.of("k", "v"));
    byte[] sound = Files.readAllBytes(path);
    List<byte[]> damaged = new ArrayList<>();
    for (int length = 0; length < sound.length; length++) {
      damaged.add(Arrays.copyOf(sound, length));
    }
    damaged.add(Arrays.copyOf(sound, sound.length + 1));
    int cut = damaged.size();
    Rng rng = Rng.of(1);
    for (int i = 0; i < 1000; i++) {
      byte[] copy = sound.clone();
      copy[rng.below(2L * i, copy.length)] = (byte) rng.below(2L * i + 1, 256);
      damaged.add(copy);
    }
    for (int i = 0; i < damaged.size(); i++) {
      Files.write(path, damaged.get(i));
      try (Safetensors file = Safetensors.open(path)) {
        assertTrue(i >= cut, "a file cut to " + i + " bytes was accepted");
        for (String name : file.names()) {
          assertEquals(
              file.shape(name).size(),
              file.dtype(name).isFloating() ? file.floats(name).length : file.longs(name).length);
        }
      } catch (ReverieException e) {
        assertTrue(e.getMessage().contains(path.toString()), e.getMessage());
      }
    }
  }
}
