// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.Blas;
import reverie.tensor.cuda.driver.HostBlas;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.graph.CapturedGraph;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;
import reverie.tensor.op.Op;

/** Libraries get aligned operands wherever tensors lie; the stand-ins refuse others. */
@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class AlignmentTest {
  private record Operands(Op op, int[] first, int[] second) {}

  private static Stream<Operands> operands() {
    return Stream.of(
        new Operands(new MatMul(), new int[] {5, 7}, new int[] {7, 3}),
        new Operands(new MatMul(), new int[] {2, 3, 5, 7}, new int[] {3, 7, 3}),
        new Operands(new MatMul(), new int[] {2, 1, 5, 7}, new int[] {3, 7, 3}),
        new Operands(new Linear(), new int[] {5, 7}, new int[] {3, 7}),
        new Operands(new Conv2d(1, 0), new int[] {2, 5, 4, 3}, new int[] {1, 1, 3, 5}),
        new Operands(new Conv2d(1, 1), new int[] {2, 5, 4, 3}, new int[] {3, 3, 3, 5}));
  }

  /** Normal numbers, so many elements after an aligned address. */
  private static Tensor at(int offset, Device device, int seed, int... dims) {
    int size = Math.toIntExact(Shape.of(dims).size());
    Tensor all = Ops.concat(0, device.zeros(offset), Rng.of(seed).normal(device, size));
    return all.slice(0, offset, offset + size).reshape(dims);
  }

  @ParameterizedTest
  @EnumSource
  void operandsAnywhereGiveTheSameBits(Precision precision) {
    Device device = new Device(HostCuda.backend(precision));
    operands()
        .forEach(it -> {
          try (Scope _ = Scope.open("test")) {
            double[] expected = null;
            for (int offset = 0; offset < 4; offset++) {
              Tensor a = at(offset, device, 1, it.first);
              Tensor b = at((offset + 1) % 4, device, 2, it.second);
              Tensor y = Ops.apply(it.op, a, b);
              Tensor elsewhere = at(3, device, 3, y.shape().dims());
              Ops.update(it.op, new Tensor[] {elsewhere}, a, b);
              try (CapturedGraph graph =
                  CapturedGraph.of(device, () -> new Tensor[] {Ops.apply(it.op, a, b)})) {
                graph.run();
                expected = expected == null ? y.toDoubles() : expected;
                String what = it.op + " at " + offset;
                assertArrayEquals(expected, y.toDoubles(), what);
                assertArrayEquals(expected, elsewhere.toDoubles(), what);
                assertArrayEquals(expected, graph.outputs().getFirst().toDoubles(), what);
              }
            }
          }
        });
  }

  @Test
  void theStandInRefusesOthers() {
    try (HostDriver driver = HostCuda.driver()) {
      long memory = driver.allocate(1024);
      Blas.Matrix aligned = new Blas.Matrix(memory, false, false, 1, 0);
      Blas.Matrix other = new Blas.Matrix(memory + 12, false, false, 1, 0);
      HostBlas blas = new HostBlas(driver);
      assertThrows(
          AssertionError.class,
          () -> blas.multiply(aligned, other, aligned, 1, 1, 1, 1, Precision.FLOAT32));
    }
  }

  /** What a library does at its first call, a capture may not survive. */
  @Test
  void theStandInRefusesAFirstCallWithinACapture() {
    try (HostDriver driver = HostCuda.driver()) {
      Blas.Matrix one = new Blas.Matrix(driver.allocate(4), false, false, 1, 0);
      HostBlas blas = new HostBlas(driver);
      driver.beginCapture();
      assertThrows(
          AssertionError.class, () -> blas.multiply(one, one, one, 1, 1, 1, 1, Precision.FLOAT32));
      assertThrows(AssertionError.class, () -> driver.kernel("exp"));
      driver.destroyGraph(driver.endCapture());
    }
  }
}
