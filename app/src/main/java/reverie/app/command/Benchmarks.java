// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * What {@code reverie bench} runs. It is found by {@link java.util.ServiceLoader}, because the
 * benchmarks build on everything and nothing builds on them.
 */
public interface Benchmarks {
  /**
   * What to measure.
   *
   * @param command the command line, for the report
   * @param peers whether to compare whole steps with LibTorch
   * @param scaling whether to measure how the cost of a step grows
   * @param only measure what has this in its name; empty for everything
   * @param rounds pairs of times for each comparison
   * @param json where to write the results as JSON, or null
   * @param report the folder for tables and plots, or null
   * @param cuda what to measure on a CUDA device instead of everything else, or null
   */
  record Request(
      String command,
      boolean peers,
      boolean scaling,
      String only,
      int rounds,
      Path json,
      Path report,
      OnCuda cuda) {}

  /**
   * What to measure on a CUDA device. Results go to the JSON file line by line.
   *
   * @param count whether to count what steps ask of a device, without one
   * @param profile whether to say which operations, or kernels, that is
   * @param ways whose steps to measure
   * @param python the interpreter that has PyTorch
   */
  record OnCuda(boolean count, boolean profile, List<Way> ways, String python) {}

  /** Who makes the steps. */
  enum Way {
    /** This engine, alone. */
    OURS,
    /** This engine in turn with PyTorch, operation by operation. */
    EAGER,
    /** This engine in turn with PyTorch compiled by {@code torch.compile}, in CUDA graphs. */
    COMPILED;

    /** As it is written in commands and results. */
    public String title() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * Measures and prints.
   *
   * @param request what
   * @param out for progress and tables
   */
  void run(Request request, PrintWriter out);
}
