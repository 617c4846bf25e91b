// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;
import reverie.app.run.PlainText;

/**
 * Shows what the modules below log: warnings as one line to the user, everything in the run's log.
 */
final class Warnings extends Handler {
  private final Session session;

  private Warnings(Session session) {
    this.session = session;
    setFormatter(new SimpleFormatter());
  }

  /** From now on this session hears the loggers of this process. */
  static void show(Session session) {
    LogManager.getLogManager().reset();
    Logger.getLogger("").addHandler(new Warnings(session));
  }

  @Override
  public void publish(LogRecord record) {
    String message = getFormatter().formatMessage(record);
    if (record.getLevel().intValue() >= Level.WARNING.intValue()) {
      session.err().println(PlainText.of("warning: " + message));
    }
    session
        .log()
        .ifPresent(log -> {
          log.note(record.getLevel() + " " + record.getLoggerName() + ": " + message);
          if (record.getThrown() != null) {
            log.failure(record.getThrown());
          }
        });
  }

  @Override
  public void flush() {
    session.err().flush();
  }

  @Override
  public void close() {}
}
