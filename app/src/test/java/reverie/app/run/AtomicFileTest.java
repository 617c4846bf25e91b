// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.tensor.ReverieException;

class AtomicFileTest {
  @TempDir Path folder;

  @Test
  void replaces() throws IOException {
    Path file = folder.resolve("a.txt");
    AtomicFile.writeText(file, "old");
    AtomicFile.writeText(file, "new – ü");
    assertEquals("new – ü", Files.readString(file));
    assertEquals(List.of(file), files());
  }

  @Test
  void aFullDiskLosesNothing() throws IOException {
    Path file = Files.writeString(folder.resolve("model.bin"), "old");
    ReverieException error =
        assertThrows(
            ReverieException.class,
            () ->
                AtomicFile.write(
                    file,
                    out -> {
                      out.write(new byte[100_000]);
                      throw new IOException("No space left on device");
                    }));
    assertEquals(
        "write " + file + ": No space left on device",
        error.getMessage().lines().findFirst().get());
    assertTrue(error.getMessage().contains("hint: free some space"), error::getMessage);
    assertEquals("old", Files.readString(file));
    assertEquals(List.of(file), files());
  }

  @Test
  void aMissingFolderIsNamed() {
    Path file = folder.resolve("absent/a.txt");
    ReverieException error =
        assertThrows(ReverieException.class, () -> AtomicFile.writeText(file, "x"));
    assertTrue(
        error.getMessage().startsWith("write " + file + ": no such file or folder"),
        error::getMessage);
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }
}
