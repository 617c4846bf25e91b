// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import reverie.tensor.Device;
import reverie.tensor.Interpreter;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.debug.NanGuard;
import reverie.tensor.debug.Profile;
import reverie.tensor.laws.LeakCheck;
import reverie.tensor.op.Affine;

@ExtendWith(LeakCheck.class)
class CapturedGraphTest {
  private final Device device = Device.cpu();
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private CapturedGraph capture(Supplier<Tensor> step) {
    return CapturedGraph.of(device, () -> new Tensor[] {step.get()});
  }

  @Test
  void readsWhatTheTensorsOutsideHoldWhenItRuns() {
    Tensor x = device.tensor(new float[] {1, 2, 3}, 3);
    try (CapturedGraph step = capture(() -> x.mul(2).add(1))) {
      step.run();
      assertArrayEquals(new float[] {3, 5, 7}, step.outputs().getFirst().toFloats());
      x.assign(new float[] {0, -1, 4});
      step.run();
      assertArrayEquals(new float[] {1, -1, 9}, step.outputs().getFirst().toFloats());
      x.assign(new double[] {1, 1, 1});
      step.run();
      assertArrayEquals(new float[] {3, 3, 3}, step.outputs().getFirst().toFloats());
    }
  }

  @Test
  void computesNothingUntilItRuns() {
    Tensor sum = device.zeros(2);
    Tensor x = device.tensor(new float[] {1, 2}, 2);
    try (CapturedGraph step =
        CapturedGraph.of(
            device,
            () -> {
              sum.assign(sum.add(x));
              return new Tensor[0];
            })) {
      assertArrayEquals(new float[] {0, 0}, sum.toFloats());
      step.run();
      step.run();
      assertArrayEquals(new float[] {2, 4}, sum.toFloats());
    }
  }

  @Test
  void leavesOutWhatNobodyReads() {
    Tensor sum = device.zeros(2);
    Tensor x = device.tensor(new float[] {1, 2}, 2);
    try (CapturedGraph step =
        capture(() -> {
          x.exp().log();
          sum.assign(x.mul(2));
          return x.add(1);
        })) {
      assertEquals(2, step.operations());
      step.run();
      assertArrayEquals(new float[] {2, 4}, sum.toFloats());
      assertArrayEquals(new float[] {2, 3}, step.outputs().getFirst().toFloats());
    }
  }

  @Test
  void chainsShareMemory() {
    Tensor x = device.full(0.5, 1000);
    try (CapturedGraph step =
        capture(() -> {
          Tensor y = x;
          for (int i = 0; i < 20; i++) {
            y = y.add(x.reshape(10, 100).transpose().reshape(1000)).tanh();
          }
          return y;
        })) {
      assertTrue(
          step.plannedBytes() <= 3 * 4096, step.plannedBytes() + " of " + step.requestedBytes());
      assertTrue(step.requestedBytes() >= 60 * 4000);
    }
  }

  /** Its statistics come first, so that its result may lie where its input was. */
  @Test
  void aNormIsWrittenOverWhatItNormalises() {
    Tensor x = Rng.of(1).normal(device, 2, 33, 33, 24);
    Tensor gamma = Rng.of(2).normal(device, 24);
    Tensor beta = Rng.of(3).normal(device, 24);
    Supplier<Tensor> norms =
        () -> {
          Tensor y = Ops.groupNorm(x.mul(2), gamma, beta, 6, 1e-5);
          return Ops.groupNormSilu(Ops.groupNorm(y, beta, gamma, 4, 1e-5), gamma, beta, 8, 1e-5);
        };
    float[] apart = norms.get().toFloats();
    try (CapturedGraph step = capture(norms)) {
      step.run();
      step.run();
      assertArrayEquals(apart, step.outputs().getFirst().toFloats());
      assertTrue(step.plannedBytes() < 1.2 * 4 * x.size(), step.plannedBytes() + "");
    }
  }

  /** Not where the input is still to be read, as where it is added to the result. */
  @Test
  void aNormLeavesWhatIsReadAfterIt() {
    Tensor x = Rng.of(1).normal(device, 2, 9, 9, 24);
    Tensor ones = device.full(1, 24);
    Supplier<Tensor> residual =
        () -> {
          Tensor y = x.mul(2);
          return Ops.groupNorm(y, ones, ones, 6, 1e-5).add(y);
        };
    float[] apart = residual.get().toFloats();
    try (CapturedGraph step = capture(residual)) {
      step.run();
      assertArrayEquals(apart, step.outputs().getFirst().toFloats());
    }
  }

  @Test
  void returnsTensorsFromOutsideToo() {
    Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 2, 2);
    try (CapturedGraph step = CapturedGraph.of(device, () -> new Tensor[] {x, x.transpose()})) {
      step.run();
      assertEquals(0, step.operations());
      assertArrayEquals(new float[] {1, 3, 2, 4}, step.outputs().getLast().toFloats());
    }
  }

  @Test
  void readingAValueIsAnErrorThatSaysWhatToDo() {
    Tensor x = device.full(2, 3);
    for (Supplier<Tensor> reading :
        List.<Supplier<Tensor>>of(() -> x.mul(x.sum().item()), () -> x.mul(x.toFloats()[0]))) {
      String message = assertThrows(ReverieException.class, () -> capture(reading)).getMessage();
      assertTrue(message.startsWith("captured step: the values of F32["), message);
      assertTrue(message.contains("hint: let the step return the tensor"), message);
    }
    String upload =
        assertThrows(
                ReverieException.class,
                () -> capture(() -> x.add(device.tensor(new float[] {1, 2, 3}, 3))))
            .getMessage();
    assertTrue(upload.contains("would be the same in every run"), upload);
    assertThrows(
        ReverieException.class,
        () ->
            capture(() -> {
              x.assign(new float[3]);
              return x;
            }));
  }

  @Test
  void tensorsMadeInsideHaveNoValuesOfTheirOwn() {
    Tensor x = device.full(2, 3);
    Tensor[] inside = new Tensor[2];
    Scope elsewhere = Scope.detached("elsewhere");
    try (CapturedGraph step =
        capture(() -> {
          inside[0] = x.mul(2);
          inside[1] = elsewhere.adopt(x.mul(3));
          return inside[0];
        })) {
      step.run();
      assertThrows(ReverieException.class, inside[0]::toFloats);
      String message = assertThrows(ReverieException.class, inside[1]::toFloats).getMessage();
      assertTrue(message.contains("made while a step was captured"), message);
    }
    elsewhere.close();
  }

  @Test
  void aTensorThatHasEndedStopsIt() {
    Tensor y = device.full(1, 3);
    CapturedGraph step;
    try (Scope _ = Scope.open("inner")) {
      Tensor x = device.full(2, 3);
      step = capture(() -> x.add(y));
      step.run();
    }
    assertThrows(ReverieException.class, step::run);
    Tensor output = step.outputs().getFirst();
    assertTrue(output.isLive());
    step.close();
    assertThrows(ReverieException.class, output::toFloats);
    assertThrows(ReverieException.class, step::run);
  }

  @Test
  void oneInsideAnotherIsAnError() {
    Tensor x = device.full(2, 3);
    try (CapturedGraph inner = capture(() -> x.mul(2))) {
      assertThrows(
          ReverieException.class,
          () ->
              capture(() -> {
                inner.run();
                return x;
              }));
      assertThrows(
          ReverieException.class,
          () ->
              capture(() -> {
                try (CapturedGraph _ = capture(() -> x)) {
                  return x;
                }
              }));
    }
  }

  @Test
  void passesThroughAnotherInterpreter() {
    Tensor x = device.tensor(new float[] {1, 2, 3}, 3);
    try (CapturedGraph step = capture(() -> x.mul(2).sub(3).log().sum())) {
      step.run();
      String message =
          assertThrows(
                  ReverieException.class,
                  () ->
                      Interpreter.with(
                          new NanGuard(Interpreter.current()),
                          () -> {
                            step.run();
                            return null;
                          }))
              .getMessage();
      assertTrue(message.startsWith("log: expected finite values"), message);
      x.assign(new float[] {2, 3, 4});
      double guarded =
          Interpreter.with(
              new NanGuard(Interpreter.current()),
              () -> {
                step.run();
                return step.outputs().getFirst().item();
              });
      step.run();
      assertEquals(guarded, step.outputs().getFirst().item());
    }
  }

  @Test
  void profilesItsOperations() {
    Tensor x = device.full(1, 8, 8);
    try (CapturedGraph step = capture(() -> x.matmul(x).add(1).mul(2).tanh())) {
      Profile profile = new Profile(Interpreter.current());
      step.run(profile);
      step.run(profile);
      assertEquals(
          List.of("affine:4", "mat_mul:2", "tanh:2"),
          profile.rows().stream().map(r -> r.operation() + ":" + r.count()).sorted().toList());
      assertTrue(profile.rows().stream().allMatch(r -> r.nanos() >= 0));
    }
  }

  @Test
  void failuresPassOn() {
    Tensor a = device.full(1, 2, 3);
    assertThrows(ReverieException.class, () -> capture(() -> a.matmul(a)));
    assertThrows(ReverieException.class, () -> capture(() -> Device.reference().full(1, 2).mul(2)));
    assertEquals(6, Ops.apply(new Affine(1, 0), a).size());
  }

  /** The memory of a large step goes between two runs, its values with it. */
  @Test
  void discardedMemoryComesBackWithTheNextRun() {
    Device cpu = Device.cpu();
    for (int size : new int[] {1 << 10, 17 << 20}) {
      try (Scope _ = Scope.open("test")) {
        Tensor x = cpu.zeros(size).add(1);
        try (CapturedGraph step = CapturedGraph.of(cpu, () -> new Tensor[] {x.mul(2).add(1)})) {
          Tensor last = step.outputs().getFirst().slice(0, size - 1, size);
          step.run();
          assertEquals(3, last.item());
          step.discard();
          boolean discarded = size > 1 << 20 && System.getProperty("os.name").equals("Linux");
          assertEquals(discarded ? 0 : 3, last.item());
          step.run();
          assertEquals(3, last.item());
        }
      }
    }
  }
}
