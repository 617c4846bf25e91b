// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;

/** Whatever happens to a header, it is sound or one clear error. */
class MutationTest {
  private static final int MUTANTS = 100_000;

  @TempDir Path folder;

  @Test
  void damagedHeadersAreSoundOrRefused() throws IOException {
    Path path = folder.resolve("model.safetensors");
    Safetensors.write(
        path,
        Map.of(
            "a.weight", new Safetensors.Entry(DType.F32, Shape.of(2, 1), 1, 2),
            "b", new Safetensors.Entry(DType.F16, Shape.of(3), 1, 2, 3)),
        Map.of("format", "pt"));
    byte[] sound = Files.readAllBytes(path);
    int refused = 0;
    for (int i = 0; i < MUTANTS; i++) {
      byte[] bytes = Mutations.of(sound, i);
      try {
        SafetensorsHeader header = SafetensorsHeader.read(path, MemorySegment.ofArray(bytes));
        for (SafetensorsHeader.Entry e : header.tensors().values()) {
          assertEquals(e.end() - e.begin(), e.shape().size() * e.dtype().bytes());
          assertTrue(header.dataStart() + e.end() <= bytes.length);
        }
      } catch (ReverieException e) {
        refused++;
        assertTrue(e.getMessage().startsWith("safetensors: " + path + ": "), e.getMessage());
        assertTrue(
            e.getMessage().chars().noneMatch(c -> c < ' ' && c != '\n'),
            () -> "control characters in " + ReverieException.shown(e.getMessage()));
      }
    }
    assertTrue(refused > MUTANTS / 2 && refused < MUTANTS, refused + " refused");
  }
}
