// SPDX-License-Identifier: Apache-2.0
package reverie.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.Blackhole;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;
import reverie.bench.measure.Roofline;
import reverie.bench.report.OperationRow;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.catalog.OpCatalog;
import reverie.tensor.catalog.Sample;
import reverie.tensor.op.Cost;

/**
 * How fast the processor carries out single operations, with the cost of the seam and of memory
 * included. The rates are of the least work possible ({@link Cost}), so they compare with what the
 * machine can do.
 */
@State(org.openjdk.jmh.annotations.Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 5, time = 500, timeUnit = TimeUnit.MILLISECONDS)
public class Operation {
  /** The label of what is measured. */
  @Param("chosen by main")
  public String label;

  private Scope scope;
  private Device device;
  private Sample sample;
  private Tensor[] inputs;

  /** Makes the inputs. */
  @Setup
  public void open() {
    sample = all().filter(s -> s.label().equals(label)).findFirst().orElseThrow();
    device = Device.cpu();
    scope = Scope.open("benchmark");
    inputs = sample.inputs(device);
  }

  /** Frees the inputs. */
  @TearDown
  public void close() {
    scope.close();
  }

  /** Once. */
  @Benchmark
  public void run(Blackhole hole) {
    try (Scope _ = Scope.open("once")) {
      hole.consume(sample.run(device, inputs));
    }
  }

  /**
   * Measures workloads; given a word, the workloads and samples of the catalogue whose label
   * contains it.
   *
   * @param word empty for all workloads
   * @param progress gets each row
   */
  static List<OperationRow> measure(
      String word, Roofline roofline, Consumer<OperationRow> progress) {
    List<Sample> chosen =
        word.isBlank() ? Workloads.all() : all().filter(s -> s.label().contains(word)).toList();
    List<OperationRow> rows = new ArrayList<>();
    for (Sample sample : chosen) {
      try {
        Result<?> time = new Runner(options(sample.label())).runSingle().getPrimaryResult();
        OperationRow row =
            OperationRow.of(
                sample.label(), 1, time.getScore(), time.getScoreError(), cost(sample), roofline);
        progress.accept(row);
        rows.add(row);
      } catch (RunnerException e) {
        throw new ReverieException(
            "bench: " + sample.label() + " cannot be measured: " + e.getMessage(),
            "JMH runs each operation in a process of its own",
            e);
      }
    }
    return rows;
  }

  private static Stream<Sample> all() {
    return Stream.concat(Workloads.all().stream(), OpCatalog.samples().stream());
  }

  private static Options options(String label) {
    return new OptionsBuilder()
        .include(Operation.class.getName())
        .param("label", label)
        .verbosity(VerboseMode.SILENT)
        .build();
  }

  private static Cost cost(Sample sample) {
    List<TensorType> types =
        sample.inputs().stream()
            .map(input -> new TensorType(input.index() ? DType.I32 : DType.F32, input.shape()))
            .toList();
    return Cost.of(sample.op(), types);
  }
}
