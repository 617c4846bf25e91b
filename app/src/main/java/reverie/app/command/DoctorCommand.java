// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import reverie.tensor.cuda.Cuda;

/** Says whether this machine can run Reverie well, and what to do where it cannot. */
@Command(
    name = "doctor",
    description = "Look at this machine and say what would keep Reverie from working well.",
    footer = {"", "Example:", "  ./reverie doctor"})
final class DoctorCommand implements Callable<Integer> {
  private final Session session;

  DoctorCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    List<Cuda.Part> cuda = Cuda.examine();
    List<Finding> findings = Examination.of(Runtime.version(), cuda);
    findings.forEach(session.out()::println);
    session.out().println();
    session.out().println(Examination.table(cuda));
    long problems = findings.stream().filter(f -> f.state() == Finding.State.PROBLEM).count();
    long warnings = findings.stream().filter(f -> f.state() == Finding.State.WARNING).count();
    session
        .out()
        .println(
            problems + warnings == 0
                ? "All is well."
                : String.format(
                    Locale.ROOT,
                    "%d problem%s, %d warning%s.",
                    problems,
                    problems == 1 ? "" : "s",
                    warnings,
                    warnings == 1 ? "" : "s"));
    return problems == 0 ? ExitCode.OK : ExitCode.FAILED_CHECK;
  }
}
