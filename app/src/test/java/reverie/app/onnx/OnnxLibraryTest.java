// SPDX-License-Identifier: Apache-2.0
package reverie.app.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.text.MiniLm;

/** In a process of its own, for a process loads the library once. */
class OnnxLibraryTest {
  @TempDir Path folder;

  /** What the process does. */
  static final class Encodes {
    private Encodes() {}

    public static void main(String[] arguments) {
      System.out.println(new MiniLm().encode("cat").length);
    }
  }

  @Test
  void leavesNothingInTheTemporaryFolder() throws Exception {
    Path temporary = Files.createDirectories(folder.resolve("temporary"));
    encode(temporary);
    assertEquals(List.of(), left(temporary));
  }

  private void encode(Path temporary) throws Exception {
    assumeTrue(System.getProperty("os.name").toLowerCase(Locale.ROOT).contains("linux"), "Linux");
    ProcessBuilder builder =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-Djava.io.tmpdir=" + temporary,
                "-XX:-UsePerfData",
                "-cp",
                System.getProperty("java.class.path"),
                Encodes.class.getName())
            .redirectErrorStream(true);
    builder.environment().remove("XDG_RUNTIME_DIR");
    builder.environment().remove("XDG_CACHE_HOME");
    builder.environment().put("HOME", folder.toString());
    Process process = builder.start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    assertEquals(12 * 384 + "", said.lines().toList().getLast(), said);
  }

  private static List<Path> left(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }
}
