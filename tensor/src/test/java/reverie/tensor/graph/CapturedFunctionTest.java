// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.debug.Profile;
import reverie.tensor.laws.LeakCheck;

@ExtendWith(LeakCheck.class)
class CapturedFunctionTest {
  private final Device device = Device.cpu();
  private int calls;

  private Tensor[] shifted(Tensor... in) {
    calls++;
    return new Tensor[] {in[1] == null ? in[0].mul(2) : in[0].add(in[1])};
  }

  @Test
  void theFunctionIsCalledOnceForInputsOfOneKind() {
    try (Scope _ = Scope.open("test");
        CapturedFunction twice = new CapturedFunction(device, this::shifted)) {
      for (int i = 1; i < 4; i++) {
        float[] y = twice.run(device.full(i, 2), null).getFirst().toFloats();
        assertArrayEquals(new float[] {2 * i, 2 * i}, y);
      }
      assertEquals(1, calls);
      assertTrue(twice.captured().isPresent());
      assertTrue(twice.captureFailure().isEmpty());
    }
  }

  @Test
  void otherInputsAreComputedAsTheyCome() {
    try (Scope _ = Scope.open("test");
        CapturedFunction sum = new CapturedFunction(device, this::shifted)) {
      Tensor one = device.full(1, 2);
      assertEquals(3, sum.run(one, device.full(2, 2)).getFirst().toFloats()[1]);
      assertEquals(3, sum.run(device.full(1, 5), device.full(2, 5)).getFirst().toFloats()[4]);
      assertEquals(2, sum.run(one, null).getFirst().toFloats()[0]);
      assertEquals(5, sum.run(one, device.full(4, 2)).getFirst().toFloats()[0]);
      assertEquals(3, calls);
    }
  }

  @Test
  void aFunctionThatReadsValuesStillWorksAndSaysWhy() {
    try (Scope _ = Scope.open("test");
        CapturedFunction reading =
            new CapturedFunction(
                device, in -> new Tensor[] {in[0].sum().item() > 0 ? in[0] : in[0].neg()})) {
      assertEquals(1, reading.run(device.full(-1, 1)).getFirst().item());
      assertEquals(2, reading.run(device.full(2, 1)).getFirst().item());
      String captureFailure = reading.captureFailure().orElseThrow();
      assertTrue(captureFailure.contains("the values of F32[] were read"), captureFailure);
    }
  }

  @Test
  void randomNumbersAreNotFrozen() {
    long[] drawn = {0};
    try (Scope _ = Scope.open("test");
        CapturedFunction noise =
            new CapturedFunction(
                device, in -> new Tensor[] {in[0].add(Rng.of(drawn[0]++).normal(device, 1))})) {
      Tensor zero = device.zeros(1);
      double first = noise.run(zero).getFirst().item();
      assertTrue(first != noise.run(zero).getFirst().item());
      assertTrue(noise.captureFailure().orElseThrow().startsWith("rng: "));
    }
  }

  @Test
  void otherErrorsPassOn() {
    try (Scope _ = Scope.open("test");
        CapturedFunction wrong =
            new CapturedFunction(device, in -> new Tensor[] {in[0].matmul(in[0])})) {
      assertThrows(ReverieException.class, () -> wrong.run(device.zeros(2, 3)));
    }
  }

  @Test
  void otherInterpretersSeeTheOperations() {
    try (Scope _ = Scope.open("test");
        CapturedFunction twice = new CapturedFunction(device, this::shifted)) {
      Profile profile = new Profile(Interpreter.current());
      Tensor x = device.full(1, 2);
      Interpreter.with(profile, () -> twice.run(x, null));
      assertEquals("affine", profile.rows().getFirst().operation());
      assertTrue(twice.captured().isEmpty());
    }
  }
}
