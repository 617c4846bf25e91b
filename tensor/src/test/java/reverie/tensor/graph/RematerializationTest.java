// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.laws.LeakCheck;

@ExtendWith(LeakCheck.class)
class RematerializationTest {
  private static final int DEPTH = 6;
  private final Device device = Device.cpu();

  /** Like a training step: every activation is needed again after all of them were made. */
  private static Tensor[] thereAndBack(Tensor x, Tensor... weights) {
    Tensor[] inputs = new Tensor[DEPTH];
    Tensor[] activations = new Tensor[DEPTH];
    Tensor y = x;
    for (int i = 0; i < DEPTH; i++) {
      inputs[i] = y.matmul(weights[i]);
      activations[i] = inputs[i].silu();
      y = activations[i];
    }
    for (int i = DEPTH - 1; i >= 0; i--) {
      y = y.mul(activations[i]).sub(inputs[i]);
    }
    return new Tensor[] {y};
  }

  @Test
  void needsLessMemoryForTheSameBits() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(device, 256, 128);
      Tensor[] weights = new Tensor[DEPTH];
      for (int i = 0; i < DEPTH; i++) {
        weights[i] = Rng.of(2).fork(i).normal(device, 128, 128).mul(0.1);
      }
      try (CapturedGraph step = CapturedGraph.of(device, 0, () -> thereAndBack(x, weights))) {
        assertEquals(4 * DEPTH + DEPTH - 1, step.operations());
        assertTrue(
            step.plannedBytes() <= (DEPTH + 3) * 4 * x.size(), step.plannedBytes() + " bytes");
        for (int time = 0; time < 2; time++) {
          step.run();
          assertArrayEquals(
              thereAndBack(x, weights)[0].toFloats(), step.outputs().getFirst().toFloats());
          x.assign(x.mul(0.5));
        }
      }
    }
  }

  @Test
  void whatWasChangedInBetweenIsKept() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(device, 256, 128);
      try (CapturedGraph step =
          CapturedGraph.of(
              device,
              0,
              () -> {
                Tensor early = x.silu();
                Tensor large = Ops.concat(0, early, early, early).tanh();
                x.assign(x.add(1));
                return new Tensor[] {large.sum().add(early.sum())};
              })) {
        double expected;
        try (Scope _ = Scope.open("eager")) {
          Tensor early = x.silu();
          expected = Ops.concat(0, early, early, early).tanh().sum().add(early.sum()).item();
        }
        step.run();
        assertEquals(expected, step.outputs().getFirst().item());
      }
    }
  }

  /** The operation that made a value does not make what was written into it later. */
  @Test
  void whatWasUpdatedInPlaceIsKept() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(device, 256, 128);
      Supplier<Tensor[]> step =
          () -> {
            Tensor early = x.silu();
            early.assign(early.add(1));
            Tensor large = Ops.concat(0, early, early, early).tanh();
            return new Tensor[] {large.sum().add(early.sum())};
          };
      try (CapturedGraph captured = CapturedGraph.of(device, 0, step)) {
        captured.run();
        assertEquals(step.get()[0].item(), captured.outputs().getFirst().item());
      }
    }
  }

  /** So too where only a part was updated, through a view. */
  @Test
  void whatWasUpdatedThroughAViewIsKept() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(device, 256, 128);
      Supplier<Tensor[]> step =
          () -> {
            Tensor early = x.silu();
            early.slice(0, 0, 16).assign(x.slice(0, 0, 16));
            Tensor large = Ops.concat(0, early, early, early).tanh();
            return new Tensor[] {large.sum().add(early.sum())};
          };
      try (CapturedGraph captured = CapturedGraph.of(device, 0, step)) {
        captured.run();
        assertEquals(step.get()[0].item(), captured.outputs().getFirst().item());
      }
    }
  }
}
