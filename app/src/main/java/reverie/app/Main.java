// SPDX-License-Identifier: Apache-2.0
package reverie.app;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import reverie.app.command.CommandLines;

/** The command {@code reverie}. */
public final class Main {
  private Main() {}

  /**
   * Runs a command and ends the process with its exit code.
   *
   * @param arguments the command line
   */
  public static void main(String[] arguments) {
    System.setProperty("java.awt.headless", "true");
    PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
    PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
    int code = CommandLines.run(List.of(arguments), System.getenv(), out, err);
    out.flush();
    err.flush();
    System.exit(code);
  }
}
