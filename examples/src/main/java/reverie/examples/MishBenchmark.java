// SPDX-License-Identifier: Apache-2.0
package reverie.examples;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * The operation of one's own beside its definition in tensor operations and beside a copy, which is
 * as fast as memory allows. Numbers are microseconds; run it with {@code org.openjdk.jmh.Main}.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsAppend = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class MishBenchmark {
  /** Elements of the tensor. */
  @Param({"4096", "1048576"})
  public int size;

  private final Mish mish = new Mish();
  private reverie.tensor.Scope scope;
  private Tensor x;

  /** Makes the input. */
  @Setup
  public void input() {
    scope = reverie.tensor.Scope.open("benchmark");
    x = Rng.of(1).normal(Device.cpu(), size);
  }

  /** Frees the input. */
  @TearDown(Level.Trial)
  public void free() {
    scope.close();
  }

  /** By the kernel. */
  @Benchmark
  public void kernel() {
    try (var _ = reverie.tensor.Scope.open("once")) {
      Mish.mish(x);
    }
  }

  /** By the definition. */
  @Benchmark
  public void definition() {
    try (var _ = reverie.tensor.Scope.open("once")) {
      mish.decompose(x);
    }
  }

  /** The bound: everything is read and written once. */
  @Benchmark
  public void copy() {
    try (var _ = reverie.tensor.Scope.open("once")) {
      x.neg();
    }
  }
}
