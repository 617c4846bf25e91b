// SPDX-License-Identifier: Apache-2.0
package reverie.app.files;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
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

  /** A rename would put a file in the place of the device. */
  @Test
  void aPipeIsWrittenTo() throws Exception {
    Path pipe = folder.resolve("pipe");
    assumeTrue(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor() == 0, "no mkfifo");
    Process reader = new ProcessBuilder("cat", pipe.toString()).start();
    AtomicFile.writeText(pipe, "text");
    assertEquals(
        "text", new String(reader.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
    assertFalse(Files.isRegularFile(pipe));
    assertEquals(List.of(pipe), files());
  }

  /** A power cut must find the content on the disk before its name, and then the name. */
  @Test
  void aFileIsPreparedBeforeLongWork() {
    Path file = folder.resolve("not/yet/a.txt");
    AtomicFile.prepare(file);
    AtomicFile.writeText(file, "x");
    AtomicFile.prepare(file);
    for (Path wrong : List.of(folder, file.resolve("b.txt"))) {
      ReverieException error =
          assertThrows(ReverieException.class, () -> AtomicFile.prepare(wrong));
      assertTrue(error.getMessage().startsWith("write " + wrong + ": "), error::getMessage);
    }
  }

  @Test
  void forcesBeforeItRenames() {
    List<String> operations = new ArrayList<>();
    var files = new WatchedFiles((operation, name) -> operations.add(operation));
    AtomicFile.writeText(files.of(folder.resolve("a.txt")), "text");
    assertEquals(
        List.of("delete", "open", "write", "force", "move", "force", "delete"), operations);
  }

  @Test
  void aFileOfTheUserIsNotTakenForATemporaryOne() {
    for (String name : List.of("notes.tmp", ".a.txt.12.tmp", "a.reverie-tmp", ".a.x.reverie-tmp")) {
      assertFalse(AtomicFile.isTemporary(folder.resolve(name)), name);
    }
    assertTrue(AtomicFile.isTemporary(folder.resolve(".a.txt.12.reverie-tmp")));
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }
}
