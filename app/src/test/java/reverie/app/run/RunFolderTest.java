// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.config.Configuration;
import reverie.app.config.ConfigurationException;
import reverie.app.config.ConfigurationReader;
import reverie.app.config.FinetuneConfig;
import reverie.tensor.ReverieException;
import tools.jackson.databind.json.JsonMapper;

class RunFolderTest {
  private static final ConfigurationReader<FinetuneConfig> READER = FinetuneConfig.READER;
  private static final List<String> COMMAND = List.of("reverie", "finetune");

  private final StringWriter said = new StringWriter();
  private final PrintWriter console = new PrintWriter(said);
  @TempDir Path folder;

  @Test
  void holdsWhatTheRunWasStartedWith() throws IOException {
    Path path = folder.resolve("a/b");
    try (RunFolder run = create(path)) {
      run.log().say("hello");
    }
    assertEquals("reverie finetune\n", Files.readString(path.resolve("command.txt")));
    assertEquals(config().yaml(), Files.readString(path.resolve("config.yaml")));
    var versions = new JsonMapper().readTree(Files.readString(path.resolve("versions.json")));
    assertEquals(
        System.getProperty("java.runtime.version"), versions.get("java").asString().split(" ")[0]);
    assertTrue(versions.get("threads").asInt() >= 1);
    assertTrue(Files.readString(path.resolve("log.txt")).contains("hello"));
    assertEquals("hello\n", said.toString());
  }

  @Test
  void keepsWhereItComputed() throws IOException {
    try (RunFolder run = create(folder)) {
      run.computesOn("cpu, 2 threads");
      run.computesOn("cpu, 2 threads");
      assertEquals("", said.toString());
      run.computesOn("cuda, a card");
    }
    var versions = new JsonMapper().readTree(Files.readString(folder.resolve("versions.json")));
    assertEquals("cpu, 2 threads", versions.get("device").asString());
    assertTrue(versions.get("threads").asInt() >= 1);
    assertEquals("computing on cuda, a card; the run began on cpu, 2 threads\n", said.toString());
  }

  @Test
  void namesFoldersByKindAndTime() {
    Clock clock = Clock.fixed(Instant.parse("2026-01-31T12:00:05Z"), ZoneOffset.UTC);
    assertEquals(
        Path.of("runs/finetune-20260131-120005"), RunFolder.defaultPath("finetune", clock));
  }

  @Test
  void leavesForeignFoldersAlone() throws IOException {
    Files.writeString(folder.resolve("thesis.tex"), "precious");
    ReverieException error = assertThrows(ReverieException.class, () -> create(folder));
    assertTrue(
        error.getMessage().contains("not empty and holds no run (thesis.tex)"), error::getMessage);
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(1, files.count());
    }
  }

  @Test
  void doesNotOverwriteARun() {
    create(folder).close();
    ReverieException error = assertThrows(ReverieException.class, () -> create(folder));
    assertTrue(
        error.getMessage().contains("go on with it by --resume " + folder), error::getMessage);
  }

  @Test
  void startsAgainWhereAProcessDiedAtOnce() throws IOException {
    Files.createFile(folder.resolve(".lock"));
    Files.createFile(folder.resolve("command.txt"));
    Files.createFile(folder.resolve(".config.yaml.12.reverie-tmp"));
    create(folder).close();
    assertEquals("reverie finetune\n", Files.readString(folder.resolve("command.txt")));
  }

  @Test
  void refusesAPathThatCannotBeAFolder() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    assertTrue(message(() -> create(file)).contains("this is a file"));
    String message = message(() -> create(file.resolve("inside")));
    assertTrue(message.startsWith("write " + file.resolve("inside") + ": "), message);
    assertTrue(message.contains("\nhint: "), message);
  }

  @Test
  void hasOneWriter() {
    try (RunFolder run = create(folder)) {
      assertTrue(
          message(() -> RunFolder.resume(run.path(), config(), console))
              .contains(
                  "another process (pid " + ProcessHandle.current().pid() + ") is writing to it"));
    }
    RunFolder.resume(folder, config(), console).close();
  }

  @Test
  void resumesOnlyWithTheSameConfiguration() {
    create(folder).close();
    ConfigurationException error =
        assertThrows(
            ConfigurationException.class,
            () ->
                RunFolder.resume(
                    folder, READER.read(null, null, List.of("seed=5", "epochs=1")), console));
    assertTrue(error.getMessage().contains(" → 1\n  seed: 1 → 5\n"), error::getMessage);
  }

  @Test
  void aDamagedConfigurationIsNamed() throws IOException {
    create(folder).close();
    for (String damaged : List.of("epochs: [", "- a", "\u0000", "a: 1\na: 2\n", "\t")) {
      Files.writeString(folder.resolve("config.yaml"), damaged);
      String message = message(() -> RunFolder.resume(folder, config(), console));
      assertTrue(message.startsWith("the configuration that the run was started with: "), message);
      assertTrue(message.contains("\nhint: "), message);
    }
  }

  @Test
  void resumesOnlyRuns() {
    assertTrue(
        message(() -> RunFolder.resume(folder, config(), console))
            .contains("this is no run folder"));
  }

  @Test
  void clearsWhatAKilledProcessLeft() throws IOException {
    create(folder).close();
    Path left =
        Files.createFile(
            Files.createDirectories(folder.resolve("checkpoints")).resolve(".x.1.reverie-tmp"));
    Path mine = Files.createFile(folder.resolve("thesis.tmp"));
    RunFolder.resume(folder, config(), console).close();
    assertFalse(Files.exists(left));
    assertTrue(Files.exists(mine));
  }

  @Test
  void symbolicLinksAreNotFollowed() throws IOException {
    Path precious = Files.writeString(folder.resolve("precious"), "untouched");
    for (String name : List.of(".lock", "log.txt")) {
      Path run = folder.resolve("run" + name);
      create(run).close();
      Files.deleteIfExists(run.resolve(name));
      Files.createSymbolicLink(run.resolve(name), precious);
      try (RunFolder resumed = RunFolder.resume(run, config(), console)) {
        resumed.log().say("hello");
        assertEquals("log.txt", name);
      } catch (ReverieException refused) {
        assertTrue(refused.getMessage().contains("\nhint: "), refused::getMessage);
      }
      assertEquals("untouched", Files.readString(precious), name);
    }
  }

  @Test
  void brokenVersionsAreNamed() throws IOException {
    try (RunFolder run = create(folder)) {
      for (String broken : List.of("", "{", "[]", "{\"a\":1,\"a\":2}", "\u0000")) {
        Files.writeString(folder.resolve("versions.json"), broken);
        String message = message(() -> run.computesOn("cpu"));
        assertTrue(message.startsWith("read " + folder.resolve("versions.json")), message);
        assertTrue(message.contains("\nhint: delete it"), message);
      }
      Files.delete(folder.resolve("versions.json"));
      run.computesOn("cpu");
      assertTrue(Files.readString(folder.resolve("versions.json")).contains("\"java\""));
    }
  }

  /** Up to the step of the first checkpoint nothing is lost by beginning again. */
  @Test
  void aCheckpointThatShouldBeThereIsMissed() {
    try (RunFolder run = create(folder)) {
      Path checkpoint = folder.resolve("checkpoint.safetensors");
      run.requireNoLostCheckpoint(checkpoint, 2, "epoch");
      assertEquals("", said.toString());
      try (Metrics metrics = run.metrics(0)) {
        metrics.log(2, Map.of("loss", 1.0));
        run.requireNoLostCheckpoint(checkpoint, 2, "epoch");
        assertTrue(said.toString().contains("no checkpoint yet"), said::toString);
        metrics.log(3, Map.of("loss", 1.0));
      }
      String message = message(() -> run.requireNoLostCheckpoint(checkpoint, 2, "epoch"));
      assertTrue(message.contains("is missing, though the run came to epoch 3"), message);
    }
  }

  @Test
  void whatIsSaidCannotCommandATerminal() {
    try (RunFolder run = create(folder)) {
      run.log().say("model \u001b]0;owned\u0007\u202e\r" + "x".repeat(100_000));
    }
    assertTrue(
        said.toString().startsWith("model \\u001b]0;owned\\u0007\\u202e\\u000dxxx"),
        said::toString);
    assertTrue(said.toString().length() < 10_000);
  }

  private static String message(Runnable action) {
    return assertThrows(ReverieException.class, action::run).getMessage();
  }

  private RunFolder create(Path path) {
    return RunFolder.create(path, config(), COMMAND, console);
  }

  private static Configuration<FinetuneConfig> config() {
    return READER.read(null, null, List.of());
  }
}
