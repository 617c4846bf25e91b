// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.config.ConfigurationException;
import reverie.app.config.FinetuneConfig;
import reverie.app.run.Interruption;
import reverie.app.run.RunFolder;
import reverie.tensor.ReverieException;

class FailuresTest {
  private final StringWriter err = new StringWriter();
  @TempDir Path folder;

  @Test
  void eachKindHasItsExitCode() {
    Session session = session(Map.of());
    assertEquals(2, Failures.report(session, new ConfigurationException("what", "do")));
    assertEquals(3, Failures.report(session, new ReverieException("what", "do")));
    assertEquals(130, Failures.report(session, new Interruption.Stopped("stopped")));
    assertEquals(70, Failures.report(session, new IllegalStateException("oops")));
    assertEquals(70, Failures.report(session, new OutOfMemoryError("Java heap space")));
    assertTrue(err.toString().contains("REVERIE_JAVA_OPTS=-Xmx4g"), err::toString);
  }

  @Test
  void theUserSeesNoStack() {
    Failures.report(
        session(Map.of()), new ReverieException("reward: it returned NaN", "look at it"));
    assertEquals("reverie: reward: it returned NaN\nhint: look at it\n", err.toString());
  }

  @Test
  void unlessItIsAskedFor() {
    Failures.report(session(Map.of("REVERIE_DEBUG", "1")), new ReverieException("a", "b"));
    assertTrue(err.toString().contains("\tat "), err::toString);
  }

  @Test
  void theRunsLogKeepsIt() throws IOException {
    Session session = session(Map.of());
    var config = FinetuneConfig.READER.read(null, null, List.of());
    try (RunFolder run =
        RunFolder.create(folder, config, session.command(), new PrintWriter(new StringWriter()))) {
      session.opened(run);
      Failures.report(session, new IllegalStateException("oops"));
    }
    String log = Files.readString(folder.resolve("log.txt"));
    assertTrue(log.contains("java.lang.IllegalStateException: oops"), log);
    assertTrue(log.contains("\tat reverie.app.command.FailuresTest"), log);
    assertFalse(err.toString().contains("\tat "), err::toString);
    assertTrue(
        err.toString().contains("the details are in " + folder.resolve("log.txt")), err::toString);
  }

  @Test
  void theCommandCanBeTypedAgain() {
    assertEquals(
        "./reverie sample --prompt 'a cat'\\''s hat'",
        String.join(" ", session(Map.of(), "sample", "--prompt", "a cat's hat").command()));
  }

  private Session session(Map<String, String> environment, String... arguments) {
    return new Session(
        List.of(arguments),
        environment,
        new PrintWriter(new StringWriter()),
        new PrintWriter(err, true));
  }
}
