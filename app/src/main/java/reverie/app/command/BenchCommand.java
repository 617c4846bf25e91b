// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import java.nio.file.Path;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import reverie.app.config.ConfigurationException;
import reverie.tensor.ReverieException;

/** Measures operations and whole steps, alone and beside LibTorch. */
@Command(
    name = "bench",
    description = "Measure operations and whole training and sampling steps on this machine.",
    footer = {
      "",
      "With --peers every step also runs on LibTorch, in two builds, from the same weights and",
      "numbers, in turn; LibTorch (220 MB) is downloaded by Maven the first time. Leave the"
          + " machine",
      "alone meanwhile.",
      "",
      "Examples:",
      "  ./reverie bench",
      "  ./reverie bench --only conv2d",
      "  ./reverie bench --peers --json results.json",
      "  ./reverie bench --cuda --json cuda.jsonl",
      "  ./reverie bench --cuda --way ours --profile --only large-64",
      "  ./reverie bench --cuda --count --only sd",
      "  ./reverie bench --peers --scaling --json docs/benchmarks/results.json \\",
      "      --report docs/benchmarks"
    })
final class BenchCommand implements Callable<Integer> {
  private final Session session;

  @Option(names = "--peers", description = "Compare whole steps with LibTorch.")
  private boolean peers;

  @Option(
      names = "--scaling",
      description = "Measure how a step's cost grows with batch, resolution, channels and threads.")
  private boolean scaling;

  @Option(
      names = "--cuda",
      description = "Compare whole steps on the CUDA device with PyTorch on it, and nothing else.")
  private boolean cuda;

  @Option(
      names = "--count",
      description = {
        "With --cuda: count what steps ask of a device (launches, bytes, operations), and the time",
        "these give on an H200. Needs no device."
      })
  private boolean count;

  @Option(
      names = "--way",
      paramLabel = "WAY",
      split = ",",
      description = {
        "With --cuda: this engine alone (ours), or in turn with PyTorch (eager, compiled).",
        "Default: eager,compiled"
      })
  private List<Benchmarks.Way> ways = List.of(Benchmarks.Way.EAGER, Benchmarks.Way.COMPILED);

  @Option(
      names = "--profile",
      description = "With --way ours: each step by operation; with --count: by kernel.")
  private boolean profile;

  @Option(
      names = "--python",
      paramLabel = "FILE",
      description = "The Python that has PyTorch, for --cuda. Default: ${DEFAULT-VALUE}")
  private String python = "python3";

  @Option(
      names = "--only",
      paramLabel = "TEXT",
      description = "Only what has this in its name: conv2d, icons-ddpo.")
  private String only = "";

  @Option(
      names = "--rounds",
      paramLabel = "N",
      description = "Pairs of times for each comparison. Default: ${DEFAULT-VALUE}")
  private int rounds = 15;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the results as JSON.")
  private Path json;

  @Option(
      names = "--report",
      paramLabel = "FOLDER",
      description = "Write tables and the plot of the roofline.")
  private Path report;

  BenchCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() {
    SamplingOptions.require("--rounds", rounds, 1, 1000);
    if ((count || profile) && !cuda) {
      throw new ConfigurationException(
          "bench: --count and --profile are about CUDA devices", "add --cuda, or leave them out");
    }
    Benchmarks benchmarks =
        ServiceLoader.load(Benchmarks.class)
            .findFirst()
            .orElseThrow(() ->
                new ReverieException(
                    "bench: the benchmarks are not on the class path",
                    "they are part of a checkout of the source: run ./reverie bench there"));
    benchmarks.run(
        new Benchmarks.Request(
            String.join(" ", session.command()),
            peers,
            scaling,
            only,
            rounds,
            json,
            report,
            cuda ? new Benchmarks.OnCuda(count, profile, ways, python) : null),
        session.out());
    return ExitCode.OK;
  }
}
