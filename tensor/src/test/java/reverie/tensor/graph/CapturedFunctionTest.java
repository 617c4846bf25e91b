// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.invoke.MethodHandles;
import java.util.List;
import java.util.function.Function;
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

  private record In(Tensor x, Tensor more) {}

  private record Out(Tensor y) {}

  private Out shifted(In in) {
    calls++;
    return new Out(in.more == null ? in.x.mul(2) : in.x.add(in.more));
  }

  private <I extends Record, O extends Record> CapturedFunction<I, O> captured(
      Function<I, O> body) {
    return new CapturedFunction<>(MethodHandles.lookup(), device, body);
  }

  @Test
  void theFunctionIsCalledOnceForInputsOfOneKind() {
    try (Scope _ = Scope.open("test");
        CapturedFunction<In, Out> twice = captured(this::shifted)) {
      for (int i = 1; i < 4; i++) {
        float[] y = twice.run(new In(device.full(i, 2), null)).y().toFloats();
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
        CapturedFunction<In, Out> sum = captured(this::shifted)) {
      Tensor one = device.full(1, 2);
      assertEquals(3, sum.run(new In(one, device.full(2, 2))).y().toFloats()[1]);
      assertEquals(3, sum.run(new In(device.full(1, 5), device.full(2, 5))).y().toFloats()[4]);
      assertEquals(2, sum.run(new In(one, null)).y().toFloats()[0]);
      assertEquals(5, sum.run(new In(one, device.full(4, 2))).y().toFloats()[0]);
      assertEquals(3, calls);
    }
  }

  @Test
  void aFunctionThatReadsValuesStillWorksAndSaysWhy() {
    try (Scope _ = Scope.open("test");
        CapturedFunction<In, Out> reading =
            captured(in -> new Out(in.x.sum().item() > 0 ? in.x : in.x.neg()))) {
      assertEquals(1, reading.run(new In(device.full(-1, 1), null)).y().item());
      assertEquals(2, reading.run(new In(device.full(2, 1), null)).y().item());
      String captureFailure = reading.captureFailure().orElseThrow();
      assertTrue(captureFailure.contains("the values of F32[] were read"), captureFailure);
    }
  }

  @Test
  void randomNumbersAreNotFrozen() {
    long[] drawn = {0};
    try (Scope _ = Scope.open("test");
        CapturedFunction<In, Out> noise =
            captured(in -> new Out(in.x.add(Rng.of(drawn[0]++).normal(device, 1))))) {
      Tensor zero = device.zeros(1);
      double first = noise.run(new In(zero, null)).y().item();
      assertTrue(first != noise.run(new In(zero, null)).y().item());
      assertTrue(noise.captureFailure().orElseThrow().startsWith("rng: "));
    }
  }

  @Test
  void otherErrorsPassOn() {
    try (Scope _ = Scope.open("test");
        CapturedFunction<In, Out> wrong = captured(in -> new Out(in.x.matmul(in.x)))) {
      assertThrows(ReverieException.class, () -> wrong.run(new In(device.zeros(2, 3), null)));
    }
  }

  @Test
  void otherInterpretersSeeTheOperations() {
    try (Scope _ = Scope.open("test");
        CapturedFunction<In, Out> twice = captured(this::shifted)) {
      Profile profile = new Profile(Interpreter.current());
      Tensor x = device.full(1, 2);
      Interpreter.with(profile, () -> twice.run(new In(x, null)));
      assertEquals("affine", profile.rows().getFirst().operation());
      assertTrue(twice.captured().isEmpty());
    }
  }

  private record Layer(Tensor weight, Tensor bias) {}

  private record Network(Tensor x, List<Tensor> shifts, Layer layer) {}

  private record Both(Tensor none, Layer result) {}

  @Test
  void recordsNestHoldListsAndMayLackTensors() {
    try (Scope _ = Scope.open("test");
        CapturedFunction<Network, Both> network =
            captured(in -> {
              Tensor y = in.x;
              for (Tensor shift : in.shifts) {
                y = y.add(shift);
              }
              calls++;
              return new Both(null, new Layer(y.mul(in.layer.weight), in.layer.bias));
            })) {
      for (int i = 1; i < 3; i++) {
        List<Tensor> shifts = List.of(device.full(1, 2), device.full(2, 2));
        Both out =
            network.run(new Network(device.full(i, 2), shifts, new Layer(device.scalar(10), null)));
        assertArrayEquals(new double[] {10 * (i + 3), 10 * (i + 3)}, out.result.weight.toDoubles());
        assertEquals(null, out.none);
        assertEquals(null, out.result.bias);
      }
      assertEquals(1, calls);
    }
  }

  private record Numbered(Tensor x, int n) {}

  @Test
  void whatIsNoTensorIsRefused() {
    try (Scope _ = Scope.open("test");
        CapturedFunction<Numbered, Out> wrong = captured(in -> new Out(in.x.mul(in.n)))) {
      ReverieException e =
          assertThrows(ReverieException.class, () -> wrong.run(new Numbered(device.full(1, 2), 3)));
      assertTrue(
          e.getMessage()
              .startsWith(
                  "captured function: expected tensors, lists or records of them in Numbered, got Integer"),
          e.getMessage());
    }
  }
}
