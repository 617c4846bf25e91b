// SPDX-License-Identifier: Apache-2.0
package reverie.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the launcher hands to Java, told by one that only prints it. */
class LauncherTest {
  private static final Path LAUNCHER = Path.of("../reverie");
  @TempDir Path folder;

  @BeforeEach
  void aCheckoutThatIsBuilt() throws IOException {
    assumeTrue(Files.isExecutable(Path.of("/bin/bash")), "no bash here");
    Files.copy(LAUNCHER, folder.resolve("reverie"));
    Path start = Path.of("packaging/java.sh");
    Files.createDirectories(folder.resolve("packaging"));
    Files.copy(Path.of("..").resolve(start), folder.resolve(start));
    folder.resolve("reverie").toFile().setExecutable(true);
    Files.createDirectories(folder.resolve("app/target/classes"));
    Files.createDirectories(folder.resolve("app/src/main"));
    Files.createDirectories(folder.resolve("jdk/bin"));
    Files.writeString(folder.resolve("pom.xml"), "");
    Files.writeString(folder.resolve("app/pom.xml"), "");
    Files.writeString(folder.resolve("jdk/release"), "JAVA_VERSION=\"25.0.1\"\n");
    java(folder.resolve("jdk/bin/java"));
    java(folder.resolve("jdk/bin/javac"));
    Files.writeString(folder.resolve("app/target/runtime.classpath"), folder + "/jdk/release\n");
  }

  private static void java(Path file) throws IOException {
    Files.createDirectories(file.getParent());
    Files.writeString(
        file,
        """
        #!/bin/sh
        echo 'Picked up JAVA_TOOL_OPTIONS: something' >&2
        echo 'WARNING: Using incubator modules: jdk.incubator.vector' >&2
        echo "$@" "locale=$LC_ALL"
        """);
    file.toFile().setExecutable(true);
  }

  @Test
  void hasDefaultsOfItsOwn() throws Exception {
    String said = run(Map.of());
    assertTrue(said.contains(" -Xmx2g "), said);
    assertTrue(said.contains("-XX:+UseParallelGC"), said);
    assertTrue(said.contains("reverie.app.Main sample --prompt a cat"), said);
    assertTrue(said.contains("Picked up"), said);
    assertFalse(said.contains("WARNING"), said);
  }

  @Test
  void theUsersHeapWins() throws Exception {
    for (String variable : List.of("REVERIE_JAVA_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")) {
      String said = run(Map.of(variable, "-Dx=y -Xmx4g"));
      assertFalse(said.contains("-Xmx2g"), said);
      assertFalse(said.contains("-Xmn64m"), said);
      assertEquals(variable.equals("REVERIE_JAVA_OPTS"), said.contains("-Dx=y -Xmx4g"), said);
    }
    assertFalse(run(Map.of("REVERIE_JAVA_OPTS", "-XX:MaxRAMPercentage=50")).contains("-Xmx2g"));
    String said = run(Map.of("REVERIE_JAVA_OPTS", "-XX:+UseSerialGC"));
    assertTrue(said.contains("-Xmx2g") && !said.contains("UseParallelGC"), said);
  }

  @Test
  void theCLocaleDoesNotLoseLetters() throws Exception {
    assertTrue(run(Map.of("LC_ALL", "C")).contains("locale=C.UTF-8"));
    assertTrue(run(Map.of("LC_ALL", "C.UTF-8")).contains("locale=C.UTF-8"));
  }

  /** With no program on the path, from another folder, by a link, whatever the names. */
  @Test
  void aPackageNeedsNothing() throws Exception {
    Path home = Files.createDirectories(folder.resolve("a package/lib")).getParent();
    Path start = home.resolve("reverie");
    Files.copy(Path.of("../packaging/reverie"), start);
    Files.copy(Path.of("../packaging/java.sh"), home.resolve("lib/java.sh"));
    Files.writeString(home.resolve("lib/revision"), "abc\n");
    start.toFile().setExecutable(true);
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("a package/reverie"));
    var nothing = Map.of("PATH", "", "JAVA_HOME", "", "CDPATH", folder.toString());

    String system = run(Map.of(), "/bin/bash", "-c", ". '" + home + "/lib/java.sh'; system_name");
    assertTrue(system.matches("[a-z]+-(x86_64|aarch64|\\w+)\n"), system);
    java(home.resolve("runtime-" + system.strip() + "/bin/java"));
    for (Path program : List.of(start, link)) {
      String said = run(nothing, program.toString(), "doctor");
      assertTrue(said.contains("-cp " + home + "/lib/* reverie.app.Main doctor"), said);
      assertTrue(said.contains("-Dreverie.revision=abc "), said);
    }
    String relative = run(nothing, "/bin/bash", "-c", "cd '" + folder + "'; 'a package/reverie' x");
    assertTrue(relative.contains(home + "/lib/* reverie.app.Main x"), relative);

    // Java of another system: that of JAVA_HOME.
    Files.move(home.resolve("runtime-" + system.strip()), home.resolve("runtime-other-cpu"));
    String said = run(Map.of("PATH", ""), start.toString(), "doctor");
    assertTrue(said.contains("reverie.app.Main doctor"), said);
  }

  private String run(Map<String, String> environment) throws Exception {
    return run(environment, folder.resolve("reverie").toString(), "sample", "--prompt", "a cat");
  }

  private String run(Map<String, String> environment, String... command) throws Exception {
    // Through cat, which ends when the filter of the error stream has written all too.
    List<String> words =
        new ArrayList<>(
            List.of("/bin/bash", "-o", "pipefail", "-c", "\"$0\" \"$@\" 2>&1 | command -p cat"));
    words.addAll(List.of(command));
    ProcessBuilder builder = new ProcessBuilder(words);
    for (String name :
        List.of("REVERIE_JAVA_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "LC_ALL")) {
      builder.environment().remove(name);
    }
    builder.environment().put("JAVA_HOME", folder.resolve("jdk").toString());
    builder.environment().putAll(environment);
    Process process = builder.start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    return said;
  }
}
