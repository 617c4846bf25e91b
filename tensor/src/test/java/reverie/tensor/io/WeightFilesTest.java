// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.io.Safetensors.Entry;

class WeightFilesTest {
  @TempDir Path folder;

  private void touch(String... names) throws IOException {
    for (String name : names) {
      Files.writeString(folder.resolve(name), "");
    }
  }

  private String refused(String name) {
    return assertThrows(ReverieException.class, () -> WeightFiles.find(folder, name)).getMessage();
  }

  @ParameterizedTest
  @CsvSource({
    "m.safetensors m.fp16.safetensors m.bin, m.safetensors",
    "m.fp16.safetensors m.non_ema.safetensors, m.fp16.safetensors",
    "m.non_ema.safetensors m.bin, m.non_ema.safetensors",
    "m.mine.safetensors other.safetensors, m.mine.safetensors",
    "m.safetensors.index.json m-00001-of-00001.safetensors, m.safetensors.index.json",
    "m.safetensors.index.fp16.json m.fp16-00001-of-00001.safetensors,"
        + " m.safetensors.index.fp16.json",
    "m.safetensors.index.json m-00001-of-00001.safetensors m.fp16.safetensors,"
        + " m.safetensors.index.json",
    "m.safetensors m.safetensors.index.json, m.safetensors",
  })
  void theMostExactVariantIsTaken(String files, String expected) throws IOException {
    touch(files.split(" "));
    assertEquals(folder.resolve(expected), WeightFiles.find(folder, "m"));
  }

  @Test
  void whatIsMissingIsNamed() throws IOException {
    assertTrue(refused("m").contains("got no such file"), refused("m"));
    touch("m.bin");
    assertTrue(refused("m").contains("got only [m.bin]"), refused("m"));
    assertTrue(refused("m").contains("save_pretrained"), refused("m"));
    touch("m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors");
    assertTrue(refused("m").contains("got 2 parts without their index"), refused("m"));
    touch("m.one.safetensors", "m.two.safetensors");
    assertTrue(refused("m").contains("[m.one.safetensors, m.two.safetensors]"), refused("m"));
    assertTrue(
        assertThrows(ReverieException.class, () -> WeightFiles.find(folder.resolve("nowhere"), "m"))
            .getMessage()
            .contains("cannot read the folder"));
  }

  private Path index(String map) throws IOException {
    Safetensors.write(
        folder.resolve("m-00001-of-00002.safetensors"),
        Map.of("a", new Entry(DType.F32, Shape.of(2), 1, 2)),
        Map.of("format", "pt"));
    Safetensors.write(
        folder.resolve("m-00002-of-00002.safetensors"),
        Map.of(
            "b", new Entry(DType.F16, Shape.of(1), 3), "c", new Entry(DType.BF16, Shape.of(1), 4)),
        Map.of());
    return Files.writeString(folder.resolve("m.safetensors.index.json"), map.replace('\'', '"'));
  }

  @Test
  void shardsAreReadAsOne() throws IOException {
    Path index =
        index(
            """
            \ufeff{'metadata': {'total_size': 12, 'more': [1, {}]}, 'weight_map': {
              'c': 'm-00002-of-00002.safetensors', 'a': 'm-00001-of-00002.safetensors',
              'b': 'm-00002-of-00002.safetensors'}}\
            """);
    assertEquals(index, WeightFiles.find(folder, "m"));
    try (Safetensors weights = Safetensors.open(index);
        Scope _ = Scope.open("test")) {
      assertEquals(Set.of("a", "b", "c"), weights.names());
      assertEquals("pt", weights.metadata().get("format"));
      assertArrayEquals(new float[] {1, 2}, weights.floats("a"));
      assertArrayEquals(new float[] {3}, weights.floats("b"));
      assertArrayEquals(new float[] {4}, weights.tensor("c", Device.cpu()).toFloats());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'weight_map': {'a': '../m.safetensors'}} | \"../m.safetensors\" for tensor \"a\"",
        "{'weight_map': {'a': '/tmp/m.safetensors'}} | files beside it, got \"/tmp/m.safetensors\"",
        "{'weight_map': {'a': 'x\\\\m.safetensors'}} | files beside it",
        "{'weight_map': {'a': 'm.bin'}} | files beside it, got \"m.bin\"",
        "{'weight_map': {'a': 'm-00003-of-00002.safetensors'}} | does not exist",
        "{'weight_map': {'b': 'm-00001-of-00002.safetensors'}} | expected tensor \"b\" in m-00001",
        "{'weight_map': {'a': 3}} | expected names of files, got 3",
        "{'weight_map': []} | expected an object weight_map, got [",
        "{'weight_map': {}} | got none",
        "{} | got none",
        "[] | expected an object, got [",
        "{'weight_map': {'a': 'm-00001-of-00002.safetensors', 'a': 'x.safetensors'}} | Duplicate",
        "{'weight_map': {'a' | is not JSON",
        "{} {} | nothing after the object",
      })
  void unsoundIndexesAreRefused(String line) throws IOException {
    String[] parts = line.split(" \\| ");
    Path index = index(parts[0]);
    String message =
        assertThrows(ReverieException.class, () -> Safetensors.open(index).close()).getMessage();
    assertTrue(message.startsWith("safetensors: "), message);
    assertTrue(message.contains(parts[1]), message);
    assertTrue(message.contains("\nhint: "), message);
  }
}
