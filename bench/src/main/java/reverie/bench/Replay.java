// SPDX-License-Identifier: Apache-2.0
package reverie.bench;

import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import reverie.bench.step.Batch;
import reverie.bench.step.Kind;
import reverie.bench.step.OurStep;
import reverie.bench.step.StepSettings;
import reverie.bench.step.Subject;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.graph.CapturedGraph;
import reverie.unet.UNet;

/** Whole steps as captured and as they are written: time and memory allocated by each. */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 5, time = 2)
public class Replay {
  /** The model. */
  @Param("ICONS")
  public Subject subject;

  /** The step. */
  @Param({"DDPO", "SAMPLING", "PRETRAINING"})
  public Kind kind;

  /** Samples of a step. */
  @Param("16")
  public int batch;

  private UNet model;
  private Batch data;
  private OurStep step;
  private CapturedGraph slice;

  /** Makes the first step, at which it is captured. */
  @Setup(Level.Trial)
  public void open() {
    Device device = Device.cpu();
    StepSettings settings = StepSettings.usual();
    model = UNet.random(subject.config(), device, Rng.of(1));
    data = new Batch(subject, batch, device, settings, Rng.of(2));
    data.draw(model);
    step = new OurStep(kind, model, data, settings);
    step.run();
    slice = step.captured();
    System.out.printf(
        Locale.ROOT,
        "%n# %s: %.1f MB planned, %.1f MB if nothing shared memory%n",
        slice,
        slice.plannedBytes() / 1e6,
        slice.requestedBytes() / 1e6);
  }

  /** Frees everything. */
  @TearDown(Level.Trial)
  public void close() {
    step.close();
    data.close();
    model.close();
  }

  /** The hot loop alone: one slice of the step, which allocates nothing. */
  @Benchmark
  public void slice() {
    slice.run();
  }

  /** As the trainers make it: replayed, slice by slice. */
  @Benchmark
  public void captured() {
    step.run();
  }

  /** Operation by operation. */
  @Benchmark
  public void eager() {
    step.runEagerly();
  }

  /** Runs all, with what each step allocates. */
  public static void main(String[] arguments) throws RunnerException {
    new Runner(
            new OptionsBuilder()
                .include(Replay.class.getName())
                .addProfiler(GCProfiler.class)
                .build())
        .run();
  }
}
