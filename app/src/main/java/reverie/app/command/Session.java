// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import reverie.app.run.PlainText;
import reverie.app.run.RunFolder;
import reverie.app.run.RunLog;
import reverie.app.text.CachedEncoder;
import reverie.app.text.PromptEncoder;

/**
 * What the commands of one process share: where to print, how they were called, and the run's log.
 */
final class Session {
  private final List<String> arguments;
  private final Map<String, String> environment;
  private final PrintWriter console;
  private final PrintWriter out;
  private final PrintWriter err;
  private RunLog log;

  Session(
      List<String> arguments, Map<String, String> environment, PrintWriter out, PrintWriter err) {
    this.arguments = List.copyOf(arguments);
    this.environment = Map.copyOf(environment);
    console = out;
    this.out = PlainText.writer(out);
    this.err = PlainText.writer(err);
  }

  /** Where help goes, which is coloured; all else that is printed is plain. */
  PrintWriter console() {
    return console;
  }

  PrintWriter out() {
    return out;
  }

  PrintWriter err() {
    return err;
  }

  /** The command line as the user would type it again. */
  List<String> command() {
    List<String> command = new java.util.ArrayList<>(List.of("./reverie"));
    arguments.forEach(argument -> command.add(quoted(argument)));
    return command;
  }

  boolean debug() {
    return arguments.contains("--debug")
        || !environment.getOrDefault("REVERIE_DEBUG", "").isEmpty();
  }

  /** From now on errors are kept in this run's log. */
  void opened(RunFolder run) {
    log = run.log();
  }

  /** The log of the run that the command has opened, if it has. */
  Optional<RunLog> log() {
    return Optional.ofNullable(log);
  }

  /** The text encoder, which loads its model only when a prompt is not in its cache. */
  PromptEncoder encoder() {
    return CachedEncoder.miniLm();
  }

  static String quoted(String argument) {
    return argument.matches("[A-Za-z0-9_./=,:@%+-]+")
        ? argument
        : "'" + argument.replace("'", "'\\''") + "'";
  }
}
