// SPDX-License-Identifier: Apache-2.0
package reverie.examples;

import java.util.concurrent.TimeUnit;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;
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
 * The operation of one's own beside its definition in tensor operations, and the two bounds of a
 * roofline. Numbers are microseconds; {@link MishRoofline} runs it and says what share of the
 * machine is reached.
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
  private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

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

  /** The bound of memory: everything is read and written once. */
  @Benchmark
  public void copy() {
    try (var _ = reverie.tensor.Scope.open("once")) {
      x.neg();
    }
  }

  /** The bound of arithmetic: as many multiply-adds as there are elements, in registers. */
  @Benchmark
  public float multiplyAdds() {
    FloatVector factor = FloatVector.broadcast(SPECIES, 0.999f);
    FloatVector a = factor;
    FloatVector b = factor;
    FloatVector c = factor;
    FloatVector d = factor;
    FloatVector e = factor;
    FloatVector f = factor;
    FloatVector g = factor;
    FloatVector h = factor;
    for (int i = 0; i < size; i += 8 * SPECIES.length()) {
      a = a.fma(factor, factor);
      b = b.fma(factor, factor);
      c = c.fma(factor, factor);
      d = d.fma(factor, factor);
      e = e.fma(factor, factor);
      f = f.fma(factor, factor);
      g = g.fma(factor, factor);
      h = h.fma(factor, factor);
    }
    FloatVector sum = a.add(b).add(c).add(d).add(e).add(f).add(g).add(h);
    return sum.lane(0);
  }
}
