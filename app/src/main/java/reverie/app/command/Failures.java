// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import reverie.app.config.ConfigurationException;
import reverie.app.run.Interruption;
import reverie.app.run.PlainText;
import reverie.tensor.ReverieException;

/**
 * The one place where an error becomes what the user sees: one message (what, where, what to do)
 * and an exit code. The stack is shown with {@code --debug}, and kept in the run's log where there
 * is one.
 */
final class Failures {
  private Failures() {}

  /** Reports the error and gives the exit code. */
  static int report(Session session, Throwable error) {
    int code = code(error);
    session.err().println(PlainText.of("reverie: " + message(error)));
    session.log().ifPresent(log -> log.failure(error));
    if (session.debug()) {
      error.printStackTrace(session.err());
    } else if (code == ExitCode.INTERNAL) {
      session
          .err()
          .println(
              session
                  .log()
                  .map(log -> "the details are in " + log.file())
                  .orElse("run the command again with --debug to see the details"));
    }
    session.err().flush();
    return code;
  }

  private static int code(Throwable error) {
    return switch (error) {
      case Interruption.Stopped _ -> ExitCode.INTERRUPTED;
      case ConfigurationException _ -> ExitCode.USAGE;
      case ReverieException _ -> ExitCode.BAD_INPUT;
      default -> ExitCode.INTERNAL;
    };
  }

  private static String message(Throwable error) {
    return switch (error) {
      case Interruption.Stopped stopped -> stopped.getMessage();
      case ReverieException known -> known.getMessage();
      case OutOfMemoryError memory ->
          "out of memory: "
              + memory.getMessage()
              + "\nhint: use smaller batches (sampling.batch_size, update.batch_size), or give Java"
              + " more: REVERIE_JAVA_OPTS=-Xmx4g ./reverie …";
      case StackOverflowError _ ->
          "internal error: the stack overflowed\nhint: this is a bug; please report it";
      default -> "internal error: " + error + "\nhint: this is a bug; please report it";
    };
  }
}
