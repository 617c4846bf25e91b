// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.io.PrintWriter;
import java.nio.file.Path;

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
   * @param cuda whether to measure a CUDA device beside PyTorch on it, and nothing else
   * @param python the interpreter that has PyTorch
   * @param report the folder for tables and pictures, or null
   */
  record Request(
      String command,
      boolean peers,
      boolean scaling,
      String only,
      int rounds,
      boolean cuda,
      String python,
      Path json,
      Path report) {}

  /**
   * Measures and prints.
   *
   * @param request what
   * @param out for progress and tables
   */
  void run(Request request, PrintWriter out);
}
