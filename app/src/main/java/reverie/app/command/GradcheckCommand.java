// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reverie.app.config.ConfigurationException;
import reverie.app.config.Nearest;
import reverie.autograd.GradCheck;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.catalog.OpCatalog;
import reverie.tensor.catalog.Sample;
import reverie.tensor.op.Op;

/** Checks the gradient of every operation against finite differences. */
@Command(
    name = "gradcheck",
    description = "Check the gradient of every operation against finite differences in float64.",
    footer = {"", "Examples:", "  ./reverie gradcheck", "  ./reverie gradcheck group_norm softmax"})
final class GradcheckCommand implements Callable<Integer> {
  private static final double TOLERANCE = 1e-6;

  private final Session session;

  @Parameters(
      arity = "0..*",
      paramLabel = "OPERATION",
      description = "Only these, by name; all when none is named.")
  private List<String> names = List.of();

  @Option(
      names = "--tolerance",
      paramLabel = "ERROR",
      converter = ToleranceConverter.class,
      description = "Largest relative error. Default: ${DEFAULT-VALUE}")
  private double tolerance = TOLERANCE;

  GradcheckCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    int checks = 0;
    int operations = 0;
    int failed = 0;
    for (Op op : chosen()) {
      List<Sample> samples =
          OpCatalog.entry(op).samples().stream().filter(Sample::differentiable).toList();
      String verdict = "-       nothing to check: no input, or no gradient";
      if (!samples.isEmpty()) {
        double worst = samples.stream().mapToDouble(GradcheckCommand::worst).max().orElseThrow();
        boolean passed = worst <= tolerance;
        verdict =
            String.format(
                Locale.ROOT,
                "%s  %2d samples, worst relative error %.1e",
                passed ? "ok    " : "FAILED",
                samples.size(),
                worst);
        failed += passed ? 0 : 1;
        checks += samples.size();
        operations++;
      }
      session.out().println(String.format(Locale.ROOT, "%-24s %s", op.name(), verdict));
      session.out().flush();
    }
    session
        .out()
        .println(
            String.format(
                Locale.ROOT,
                "%d operations, %d checks, %d failed at %s",
                operations,
                checks,
                failed,
                tolerance));
    return failed == 0 ? ExitCode.OK : ExitCode.FAILED_CHECK;
  }

  private List<Op> chosen() {
    List<Op> all = OpCatalog.prototypes();
    Set<String> known = new TreeSet<>(all.stream().map(Op::name).toList());
    for (String name : names) {
      if (!known.contains(name)) {
        throw new ConfigurationException(
            "gradcheck: there is no operation '" + name + "'",
            Nearest.to(name, known)
                .map(nearest -> "did you mean '" + nearest + "'?")
                .orElse("they are " + String.join(", ", known)));
      }
    }
    return names.isEmpty() ? all : all.stream().filter(op -> names.contains(op.name())).toList();
  }

  private static double worst(Sample sample) {
    Device device = Device.reference();
    try (Scope _ = Scope.open("gradcheck " + sample.label())) {
      return GradCheck.of(inputs -> Ops.applyAll(sample.op(), inputs))
          .check(sample.inputs(device))
          .worst();
    }
  }
}
