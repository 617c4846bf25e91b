// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Runs command lines in this process and keeps what the last one printed. */
abstract class CommandTest {
  final StringWriter out = new StringWriter();
  final StringWriter err = new StringWriter();

  final int run(List<String> line) {
    out.getBuffer().setLength(0);
    err.getBuffer().setLength(0);
    return CommandLines.run(line, Map.of(), new PrintWriter(out, true), new PrintWriter(err, true));
  }

  /** The same with options between the command and its arguments. */
  final int run(List<String> line, String... options) {
    List<String> all = new ArrayList<>(line);
    all.addAll(1, List.of(options));
    return run(all);
  }
}
