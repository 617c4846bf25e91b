// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.invoke.MethodHandles;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.CpuBackend;
import reverie.tensor.cpu.KernelSet;
import reverie.tensor.debug.Profile;
import reverie.tensor.laws.LeakCheck;

@ExtendWith(LeakCheck.class)
class MicroBatchedTest {
  private final Device device = Device.cpu();

  private record In(Tensor x, Tensor factor, Tensor more) {
    In(Tensor x) {
      this(x, null, null);
    }
  }

  private record Out(Tensor y) {}

  private record Nothing() {}

  /** The sum of all numbers times a factor, and each of them. */
  private static MicroBatched.Part<Out> scaled(In in) {
    Tensor y = in.x.mul(in.factor);
    return new MicroBatched.Part<>(List.of(y.sum()), new Out(in.more == null ? y : y.add(in.more)));
  }

  private static MicroBatched<In, Out> scaled(Device device, Tensor total) {
    return new MicroBatched<>(
        MethodHandles.lookup(), device, MicroBatched.Totals.of(total), MicroBatchedTest::scaled);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 5, 8, 16, 17, 64, 100})
  void partsMakeUpTheBatch(int n) {
    try (Scope _ = Scope.open("test")) {
      Tensor total = device.scalar(0);
      Tensor x = Rng.of(1).normal(device, n, 3, 2);
      Tensor more = Rng.of(2).normal(device, n, 3, 2);
      try (MicroBatched<In, Out> cut = scaled(device, total)) {
        for (double factor : new double[] {2, -1}) {
          Tensor y = cut.run(new In(x, device.scalar(factor), more)).y();
          assertArrayEquals(x.mul(factor).add(more).toFloats(), y.toFloats());
          assertEquals(x.mul(factor).sum().item(), total.item(), 1e-4);
        }
      }
    }
  }

  @Test
  void theFirstTensorMayBeMissing() {
    try (Scope _ = Scope.open("test");
        MicroBatched<In, Out> shifted =
            new MicroBatched<>(
                MethodHandles.lookup(), device, in -> new Out(in.factor.add(in.more)))) {
      Tensor samples = Rng.of(1).normal(device, 37, 3);
      Tensor more = Rng.of(2).normal(device, 37, 3);
      Tensor y = shifted.run(new In(null, samples, more)).y();
      assertArrayEquals(samples.add(more).toFloats(), y.toFloats());
      assertTrue(shifted.captured().isPresent());
      ReverieException none =
          assertThrows(ReverieException.class, () -> shifted.run(new In(null, null, null)));
      assertEquals(
          "micro-batches: expected a tensor among the inputs, got none", none.getMessage());
    }
  }

  @Test
  void batchesOfSeveralSizesTakeTurns() {
    try (Scope _ = Scope.open("test")) {
      Tensor total = device.scalar(0);
      try (MicroBatched<In, Out> cut = scaled(device, total)) {
        for (int n : new int[] {20, 7, 20, 0, 3}) {
          Tensor y = cut.run(new In(device.full(1, n, 2), device.scalar(3), null)).y();
          assertEquals(n, y.dim(0));
          assertEquals(6.0 * n, total.item());
        }
        // Other samples than those of the first call.
        float[] y = cut.run(new In(device.full(1, 20, 4), device.scalar(2), null)).y().toFloats();
        assertEquals(80, y.length);
        assertEquals(2, y[79]);
        assertEquals(160, total.item());
      }
    }
  }

  @Test
  void theBitsAreTheSameForAnyNumberOfThreads() {
    float[][] sums = new float[4][];
    for (int threads = 1; threads <= sums.length; threads++) {
      Device own = new Device(new CpuBackend(threads, KernelSet.chosen()));
      try (Scope _ = Scope.open("test")) {
        Tensor total = own.zeros(40, 40);
        try (MicroBatched<In, Nothing> cut =
            new MicroBatched<>(
                MethodHandles.lookup(),
                own,
                MicroBatched.Totals.of(total),
                in ->
                    new MicroBatched.Part<>(
                        List.of(in.x.transpose().matmul(in.x)), new Nothing()))) {
          cut.run(new In(Rng.of(1).normal(own, 50, 40)));
          sums[threads - 1] = total.toFloats();
          assertArrayEquals(sums[0], sums[threads - 1]);
        }
      }
    }
  }

  @Test
  void aFunctionThatReadsValuesStillWorksAndSaysWhy() {
    try (Scope _ = Scope.open("test");
        MicroBatched<In, Out> reading =
            new MicroBatched<>(
                MethodHandles.lookup(), device, in -> new Out(in.x.mul(in.x.sum().item())))) {
      assertEquals(20, reading.run(new In(device.full(1, 20))).y().toFloats()[7]);
      assertEquals(20, reading.run(new In(device.full(1, 20))).y().toFloats()[7]);
      assertTrue(reading.captureFailure().orElseThrow().contains("were read"));
    }
  }

  @Test
  void aFailingMicroBatchEndsTheCall() {
    try (Scope _ = Scope.open("test");
        MicroBatched<In, Out> wrong =
            new MicroBatched<>(
                MethodHandles.lookup(),
                device,
                in -> {
                  if (in.x.dim(0) == 8) {
                    throw new ReverieException("test: the eight");
                  }
                  return new Out(in.x);
                })) {
      // 60 samples are four micro-batches of 7 and four of 8.
      ReverieException e =
          assertThrows(ReverieException.class, () -> wrong.run(new In(device.zeros(60, 2))));
      assertEquals("test: the eight", e.getMessage());
      assertEquals(12, wrong.run(new In(device.zeros(12, 2))).y().dim(0));
    }
  }

  @Test
  void otherInterpretersSeeTheOperations() {
    try (Scope _ = Scope.open("test");
        MicroBatched<In, Out> cut = scaled(device, device.scalar(0))) {
      Profile profile = new Profile(Interpreter.current());
      Tensor x = device.full(1, 32);
      Interpreter.with(profile, () -> cut.run(new In(x, device.scalar(2), null)));
      assertTrue(profile.rows().stream().anyMatch(row -> row.operation().equals("mul")));
      assertTrue(cut.captured().isEmpty());
    }
  }
}
