// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TemporaryFolderTest {
  @TempDir Path parent;

  /** What a process does that is killed. */
  static final class Dies {
    private Dies() {}

    public static void main(String[] arguments) throws IOException {
      TemporaryFolder made = TemporaryFolder.in(Path.of(arguments[0]), "reverie-x");
      Files.writeString(made.path().resolve("file"), "x");
      if (arguments[1].equals("killed")) {
        Runtime.getRuntime().halt(9);
      }
    }
  }

  @Test
  void goesWhenItIsClosed() throws IOException {
    Path path;
    try (TemporaryFolder made = TemporaryFolder.in(parent, "reverie-x")) {
      path = made.path();
      Files.createDirectories(path.resolve("a/b"));
    }
    assertFalse(Files.exists(path));
  }

  @Test
  void goesWithItsProcessOrWithTheNext() throws Exception {
    assertEquals(0, run("ended"));
    assertEquals(0, parent.toFile().list().length, "an ended process leaves nothing");
    assertEquals(9, run("killed"));
    assertEquals(1, parent.toFile().list().length, "a killed one leaves its folder");
    Path users = Files.createDirectory(parent.resolve("reverie-x-7"));
    try (TemporaryFolder mine = TemporaryFolder.in(parent, "reverie-x");
        TemporaryFolder other = TemporaryFolder.in(parent, "reverie-x")) {
      assertEquals(3, parent.toFile().list().length, "its own two live, the orphan is gone");
      assertTrue(Files.exists(mine.path()) && Files.exists(other.path()));
      assertTrue(Files.exists(users), "others are left alone");
    }
  }

  private int run(String end) throws Exception {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            System.getProperty("java.class.path"),
            Dies.class.getName(),
            parent.toString(),
            end)
        .inheritIO()
        .start()
        .waitFor();
  }
}
