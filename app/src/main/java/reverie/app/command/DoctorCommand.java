// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import reverie.tensor.Device;
import reverie.tensor.cuda.Cuda;

/** Says whether this machine can run Reverie well, and what to do where it cannot. */
@Command(
    name = "doctor",
    description = "Look at this machine and say what would keep Reverie from working well.",
    footer = {"", "Examples:", "  ./reverie doctor", "  ./reverie doctor --require cuda"})
final class DoctorCommand implements Callable<Integer> {
  /** What can be asked for. */
  enum Requirement {
    /** A CUDA device that computes. */
    CUDA
  }

  private final Session session;

  @Option(
      names = "--require",
      paramLabel = "WHAT",
      description = "Fail unless this works (cuda), whatever else is found.")
  private Requirement required;

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
    if (required != null) {
      return verdict(DeviceTrial.of(cuda, () -> new Device(Cuda.open())));
    }
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

  private int verdict(Finding trial) {
    session.out().println(trial);
    if (trial.state() == Finding.State.OK) {
      return ExitCode.OK;
    }
    session.err().println("reverie: doctor: CUDA is required and does not work: " + trial.detail());
    session.err().println("hint: " + trial.hint());
    return ExitCode.FAILED_CHECK;
  }
}
