// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

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

  /** The sum of all numbers times a factor, and each of them. */
  private static Tensor[] scaled(Tensor... in) {
    Tensor y = in[0].mul(in[1]);
    return new Tensor[] {y.sum(), in[2] == null ? y : y.add(in[2])};
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 5, 8, 16, 17, 64, 100})
  void slicesMakeUpTheBatch(int n) {
    try (Scope _ = Scope.open("test")) {
      Tensor total = device.scalar(0);
      Tensor x = Rng.of(1).normal(device, n, 3, 2);
      Tensor more = Rng.of(2).normal(device, n, 3, 2);
      double expected = 0;
      try (MicroBatched sliced =
          new MicroBatched(device, List.of(total), MicroBatchedTest::scaled)) {
        for (double factor : new double[] {2, -1}) {
          Tensor y = sliced.run(x, device.scalar(factor), more).getFirst();
          assertArrayEquals(x.mul(factor).add(more).toFloats(), y.toFloats());
          expected += x.mul(factor).sum().item();
          assertEquals(expected, total.item(), 1e-4);
        }
      }
    }
  }

  @Test
  void batchesOfSeveralSizesTakeTurns() {
    try (Scope _ = Scope.open("test")) {
      Tensor total = device.scalar(0);
      try (MicroBatched sliced =
          new MicroBatched(device, List.of(total), MicroBatchedTest::scaled)) {
        for (int n : new int[] {20, 7, 20, 0, 3}) {
          Tensor y = sliced.run(device.full(1, n, 2), device.scalar(3), null).getFirst();
          assertEquals(n, y.dim(0));
        }
        assertEquals(6.0 * (20 + 7 + 20 + 3), total.item());
        // Other samples than those of the first call.
        float[] y = sliced.run(device.full(1, 20, 4), device.scalar(2), null).getFirst().toFloats();
        assertEquals(80, y.length);
        assertEquals(2, y[79]);
        assertEquals(6.0 * 50 + 160, total.item());
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
        try (MicroBatched sliced =
            new MicroBatched(
                own, List.of(total), in -> new Tensor[] {in[0].transpose().matmul(in[0])})) {
          sliced.run(Rng.of(1).normal(own, 50, 40));
          sums[threads - 1] = total.toFloats();
          assertArrayEquals(sums[0], sums[threads - 1]);
        }
      }
    }
  }

  @Test
  void aFunctionThatReadsValuesStillWorksAndSaysWhy() {
    try (Scope _ = Scope.open("test");
        MicroBatched reading =
            new MicroBatched(
                device, List.of(), in -> new Tensor[] {in[0].mul(in[0].sum().item())})) {
      assertEquals(20, reading.run(device.full(1, 20)).getFirst().toFloats()[7]);
      assertEquals(20, reading.run(device.full(1, 20)).getFirst().toFloats()[7]);
      assertTrue(reading.captureFailure().orElseThrow().contains("were read"));
    }
  }

  @Test
  void aFailingSliceEndsTheCall() {
    try (Scope _ = Scope.open("test");
        MicroBatched wrong =
            new MicroBatched(
                device,
                List.of(),
                in -> {
                  if (in[0].dim(0) == 8) {
                    throw new ReverieException("test: the slice of eight");
                  }
                  return new Tensor[] {in[0]};
                })) {
      // 60 samples are four slices of 7 and four of 8.
      ReverieException e =
          assertThrows(ReverieException.class, () -> wrong.run(device.zeros(60, 2)));
      assertEquals("test: the slice of eight", e.getMessage());
      assertEquals(12, wrong.run(device.zeros(12, 2)).getFirst().dim(0));
    }
  }

  @Test
  void otherInterpretersSeeTheOperations() {
    try (Scope _ = Scope.open("test");
        MicroBatched sliced =
            new MicroBatched(device, List.of(device.scalar(0)), MicroBatchedTest::scaled)) {
      Profile profile = new Profile(Interpreter.current());
      Tensor x = device.full(1, 32);
      Interpreter.with(profile, () -> sliced.run(x, device.scalar(2), null));
      assertTrue(profile.rows().stream().anyMatch(row -> row.operation().equals("mul")));
      assertTrue(sliced.captured().isEmpty());
    }
  }
}
