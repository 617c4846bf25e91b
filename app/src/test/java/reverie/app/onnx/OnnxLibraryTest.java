// SPDX-License-Identifier: Apache-2.0
package reverie.app.onnx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.Main;
import reverie.app.text.MiniLm;
import reverie.tensor.Device;

/** In a process of its own, for a process loads the library once. */
class OnnxLibraryTest {
  @TempDir Path folder;

  /** What the process does. */
  static final class Encodes {
    private Encodes() {}

    public static void main(String[] arguments) throws IOException {
      System.out.println(Device.cpu().describe());
      MiniLm encoder = new MiniLm();
      System.out.println(encoder.encode("cat").length);
      Path temporary = Path.of(System.getProperty("java.io.tmpdir"));
      Files.setLastModifiedTime(temporary, FileTime.fromMillis(0));
      encoder.encode("dog");
      System.out.println(Files.getLastModifiedTime(temporary).toMillis());
    }
  }

  @Test
  void leavesNothingInTheTemporaryFolder() throws Exception {
    Path temporary = Files.createDirectories(folder.resolve("temporary"));
    encode(temporary, List.of());
    assertEquals(List.of(), left(temporary));
  }

  @Test
  void aTemporaryFolderThatIsMissingIsNamed() throws Exception {
    Process process = start(folder.resolve("absent"), List.of());
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(1, process.waitFor(), said);
    assertTrue(said.contains("ONNX Runtime cannot be loaded: java.nio.file.NoSuchFile"), said);
    assertTrue(said.contains("hint: free some space, or name a folder"), said);
    assertEquals(List.of(), left(folder));
  }

  /** Kernels in C and the text encoder are loaded from elsewhere. */
  @Test
  void anotherFolderStandsInForOneThatForbidsExecution() throws Exception {
    Path temporary = Files.createDirectories(folder.resolve("temporary"));
    List<String> before = forbiddingExecution(temporary);
    encode(temporary, before);
    assertEquals(List.of("temporary"), List.of(folder.toFile().list()));
    Process doctor = start(temporary, before, Main.class, "doctor");
    String said = new String(doctor.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, doctor.waitFor(), said);
    assertTrue(said.contains("ok       ONNX Runtime"), said);
  }

  /** What a command begins with so that it sees such a folder. */
  private static List<String> forbiddingExecution(Path temporary) throws Exception {
    List<String> mount = List.of("unshare", "--map-root-user", "--mount", "/bin/sh", "-c");
    String noexec = "mount -t tmpfs -o noexec,size=64m none '" + temporary + "'";
    assumeTrue(succeeds(mount, noexec), "no file system can be mounted here");
    return Stream.concat(mount.stream(), Stream.of(noexec + " && exec \"$@\"", "sh")).toList();
  }

  private static boolean succeeds(List<String> shell, String command) throws Exception {
    List<String> line = new ArrayList<>(shell);
    line.add(command);
    try {
      return new ProcessBuilder(line).start().waitFor() == 0;
    } catch (IOException e) {
      return false;
    }
  }

  private void encode(Path temporary, List<String> before) throws Exception {
    Process process = start(temporary, before);
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    assertEquals(
        // At the second prompt nothing is unpacked again: the folder is as it was.
        List.of(Device.cpu().describe(), 12 * 384 + "", "0"),
        said.lines().skip(said.lines().count() - 3).toList(),
        said);
  }

  private Process start(Path temporary, List<String> before) throws Exception {
    return start(temporary, before, Encodes.class);
  }

  private Process start(Path temporary, List<String> before, Class<?> main, String... arguments)
      throws Exception {
    assumeTrue(System.getProperty("os.name").toLowerCase(Locale.ROOT).contains("linux"), "Linux");
    List<String> line = new ArrayList<>(before);
    line.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-Djava.io.tmpdir=" + temporary,
            "-XX:-UsePerfData",
            "-cp",
            System.getProperty("java.class.path"),
            main.getName()));
    line.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(line).redirectErrorStream(true);
    builder.environment().remove("XDG_RUNTIME_DIR");
    builder.environment().remove("XDG_CACHE_HOME");
    builder.environment().put("HOME", folder.toString());
    return builder.start();
  }

  private static List<Path> left(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }
}
