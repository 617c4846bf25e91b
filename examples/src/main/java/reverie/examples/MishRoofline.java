// SPDX-License-Identifier: Apache-2.0
package reverie.examples;

import java.util.Collection;
import java.util.List;
import java.util.Locale;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * Runs {@link MishBenchmark} and says how much of the machine is reached, by the roofline (Williams
 * et al. 2009): an operation takes at least as long as its bytes need at the speed of a copy, and
 * as its arithmetic needs at the speed of multiply-adds in registers.
 */
public final class MishRoofline {
  /** x·((w − 1)/(w + 1)) with w = (1 + eˣ)²; the exponential counts as one. */
  private static final double FLOPS_EACH = 7;

  /** Read once and written once, in float32. */
  private static final double BYTES_EACH = 8;

  private MishRoofline() {}

  /** Prints a line for every way and size. */
  public static void main(String... arguments) throws RunnerException {
    System.out.print(measure(new OptionsBuilder().build()));
  }

  /** The table, measured with these options of JMH on top of those of the benchmark. */
  static String measure(Options options) throws RunnerException {
    Collection<RunResult> results =
        new Runner(
                new OptionsBuilder()
                    .parent(options)
                    .include(MishBenchmark.class.getName())
                    .verbosity(VerboseMode.SILENT)
                    .build())
            .run();
    var table = new StringBuilder(row("way", "elements", "µs", "GB/s", "GFLOP/s", "of the limit"));
    for (String size : sizes(results)) {
      double n = Double.parseDouble(size);
      double gigabytes = BYTES_EACH * n / micros(results, "copy", size) * 1e-3;
      double gigaflops = 2 * n / micros(results, "multiplyAdds", size) * 1e-3;
      double limit = Math.max(BYTES_EACH * n / gigabytes, FLOPS_EACH * n / gigaflops) * 1e-3;
      for (String way : List.of("kernel", "definition")) {
        double micros = micros(results, way, size);
        table.append(
            row(
                way,
                size,
                number(micros),
                number(BYTES_EACH * n / micros * 1e-3),
                number(FLOPS_EACH * n / micros * 1e-3),
                number(100 * limit / micros) + " %"));
      }
      table.append(row("the machine", size, "", number(gigabytes), number(gigaflops), ""));
    }
    return table.toString();
  }

  private static List<String> sizes(Collection<RunResult> results) {
    return results.stream().map(result -> result.getParams().getParam("size")).distinct().toList();
  }

  private static double micros(Collection<RunResult> results, String method, String size) {
    return results.stream()
        .filter(result -> result.getParams().getBenchmark().endsWith("." + method))
        .filter(result -> result.getParams().getParam("size").equals(size))
        .findFirst()
        .orElseThrow()
        .getPrimaryResult()
        .getScore();
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.1f", value);
  }

  private static String row(String... cells) {
    return String.format(Locale.ROOT, "%-12s %9s %9s %7s %8s %13s%n", (Object[]) cells);
  }
}
