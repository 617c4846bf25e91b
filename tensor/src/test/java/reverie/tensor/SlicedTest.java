// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reverie.tensor.cpu.CpuBackend;
import reverie.tensor.cpu.KernelSet;
import reverie.tensor.laws.LeakCheck;

@ExtendWith(LeakCheck.class)
class SlicedTest {
  private final Device device = Device.cpu();

  /** Each sample times a factor, and the sum of all. */
  private static Tensor[] scaled(Tensor... in) {
    Tensor y = in[0].mul(in[1]);
    return new Tensor[] {in[2] == null ? y : y.add(in[2]), y.sum()};
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 5, 8, 16, 17, 64, 100})
  void slicesMakeUpTheBatch(int n) {
    try (Scope _ = Scope.open("test");
        Sliced sliced = new Sliced(device, 1, SlicedTest::scaled)) {
      Tensor x = Rng.of(1).normal(device, n, 3, 2);
      Tensor more = Rng.of(2).normal(device, n, 3, 2);
      for (double factor : new double[] {2, -1}) {
        Tensor number = device.scalar(factor);
        List<Tensor> out = sliced.run(x, number, more);
        assertArrayEquals(x.mul(factor).add(more).toFloats(), out.getFirst().toFloats());
        assertEquals(x.mul(factor).sum().item(), out.getLast().item(), 1e-4);
      }
    }
  }

  @Test
  void batchesOfSeveralSizesTakeTurns() {
    try (Scope _ = Scope.open("test");
        Sliced sliced = new Sliced(device, 1, SlicedTest::scaled)) {
      for (int n : new int[] {20, 7, 20, 0, 3}) {
        List<Tensor> out = sliced.run(device.full(1, n, 2), device.scalar(3), null);
        assertEquals(n, out.getFirst().dim(0));
        assertEquals(6.0 * n, out.getLast().item());
      }
    }
  }

  @Test
  void theBitsAreTheSameForAnyNumberOfThreads() {
    float[][] sums = new float[4][];
    for (int threads = 1; threads <= sums.length; threads++) {
      Device own = new Device(new CpuBackend(threads, KernelSet.chosen()));
      try (Scope _ = Scope.open("test");
          Sliced sliced =
              new Sliced(own, 0, in -> new Tensor[] {in[0].transpose().matmul(in[0])})) {
        sums[threads - 1] = sliced.run(Rng.of(1).normal(own, 50, 40)).getFirst().toFloats();
        assertArrayEquals(sums[0], sums[threads - 1]);
      }
    }
  }

  @Test
  void aFunctionThatReadsValuesStillWorksAndSaysWhy() {
    try (Scope _ = Scope.open("test");
        Sliced reading =
            new Sliced(device, 1, in -> new Tensor[] {in[0].mul(in[0].sum().item())})) {
      assertEquals(20, reading.run(device.full(1, 20)).getFirst().toFloats()[7]);
      assertEquals(20, reading.run(device.full(1, 20)).getFirst().toFloats()[7]);
      assertTrue(reading.obstacle().orElseThrow().contains("were read"));
    }
  }

  @Test
  void aFailingSliceEndsTheCall() {
    try (Scope _ = Scope.open("test");
        Sliced wrong =
            new Sliced(
                device,
                1,
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
        Sliced sliced = new Sliced(device, 1, SlicedTest::scaled)) {
      Profile profile = new Profile(Interpreter.current());
      Tensor x = device.full(1, 32);
      Interpreter.with(profile, () -> sliced.run(x, device.scalar(2), null));
      assertTrue(profile.rows().stream().anyMatch(row -> row.operation().equals("mul")));
      assertTrue(sliced.captured().isEmpty());
    }
  }
}
