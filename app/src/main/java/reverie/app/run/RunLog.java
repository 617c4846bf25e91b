// SPDX-License-Identifier: Apache-2.0
package reverie.app.run;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.temporal.ChronoUnit;

/**
 * The text log of a run: everything that was said to the user, and what was not, such as stack
 * traces.
 *
 * <p>Safe to use from several threads. A log that cannot be written never stops a run.
 */
public final class RunLog {
  private final Path file;
  private final PrintWriter console;
  private final Clock clock;

  RunLog(Path file, PrintWriter console, Clock clock) {
    this.file = file;
    this.console = console;
    this.clock = clock;
  }

  /**
   * The file behind this log.
   *
   * @return its path
   */
  public Path file() {
    return file;
  }

  /**
   * Says a line to the user and keeps it.
   *
   * @param line one line, or several
   */
  public synchronized void say(String line) {
    console.println(PlainText.of(line));
    console.flush();
    note(line);
  }

  /**
   * Keeps a line that the user need not see.
   *
   * @param line one line, or several
   */
  public synchronized void note(String line) {
    String stamped =
        clock.instant().truncatedTo(ChronoUnit.MILLIS) + "  " + line + System.lineSeparator();
    try {
      Files.writeString(
          file,
          stamped,
          StandardCharsets.UTF_8,
          StandardOpenOption.CREATE,
          StandardOpenOption.APPEND,
          LinkOption.NOFOLLOW_LINKS);
    } catch (IOException e) {
      // The log is a convenience: the run's results are written elsewhere and checked there.
    }
  }

  /**
   * Keeps an error with its stack.
   *
   * @param error what happened
   */
  public void failure(Throwable error) {
    StringWriter text = new StringWriter();
    error.printStackTrace(new PrintWriter(text, true));
    note(text.toString());
  }
}
