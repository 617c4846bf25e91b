// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.graph;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.laws.LeakCheck;
import reverie.tensor.op.Binary;

@ExtendWith(LeakCheck.class)
class CopyElisionTest {
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

  private void checkCopies(
      int operations, float[] expected, Tensor y, Supplier<Tensor[]> function) {
    try (CapturedGraph step = CapturedGraph.of(device, function)) {
      assertEquals(operations, step.operations());
      for (int i = 0; i < 2; i++) {
        y.assign(new float[] {9, 9, 9, 9, 9, 9, 9, 9});
        step.run();
        assertArrayEquals(expected, y.toFloats());
      }
    }
  }

  /** Parts of one tensor, one of which the step reads again. */
  @Test
  void computesResultsWhereTheyWouldBeCopied() {
    Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 4);
    Tensor y = device.zeros(8);
    checkCopies(
        3,
        new float[] {2, 4, 6, 8, 3, 5, 7, 9},
        y,
        () -> {
          Tensor twice = x.mul(2);
          y.slice(0, 0, 4).assign(twice);
          y.slice(0, 4, 8).reshape(2, 2).assign(twice.add(1).reshape(2, 2));
          return new Tensor[] {twice.sum()};
        });
  }

  @Test
  void copiesWhereComputingThereWouldBeSeen() {
    Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 4);
    Tensor y = device.zeros(8);
    Tensor start = y.slice(0, 0, 4);
    Tensor end = y.slice(0, 4, 8);
    Tensor[] none = {};
    // What is copied is a result, or is written in two places.
    checkCopies(
        2,
        new float[] {2, 4, 6, 8, 9, 9, 9, 9},
        y,
        () -> {
          Tensor twice = x.mul(2);
          start.assign(twice);
          return new Tensor[] {twice};
        });
    checkCopies(
        2,
        new float[] {2, 4, 6, 8, 2, 4, 6, 8},
        y,
        () -> {
          Tensor twice = x.mul(2);
          start.assign(twice);
          end.assign(twice);
          return none;
        });
    // What it is copied to is read before, or written before or after.
    checkCopies(
        2,
        new float[] {10, 11, 12, 13, 9, 9, 9, 9},
        y,
        () -> {
          start.assign(x.add(start));
          return none;
        });
    checkCopies(
        4,
        new float[] {1, 4, 9, 16, 9, 9, 9, 9},
        y,
        () -> {
          start.assign(x.mul(2));
          start.assign(x);
          Ops.update(new Binary(Binary.Kind.MUL), new Tensor[] {start}, x, x);
          return none;
        });
    // It is not aligned, or only a part, or in another order.
    checkCopies(
        2,
        new float[] {9, 2, 4, 6, 8, 9, 9, 9},
        y,
        () -> {
          y.slice(0, 1, 5).assign(x.mul(2));
          return none;
        });
    checkCopies(
        2,
        new float[] {9, 9, 9, 9, 6, 8, 9, 9},
        y,
        () -> {
          y.slice(0, 4, 6).assign(x.mul(2).slice(0, 2, 4));
          return none;
        });
    checkCopies(
        2,
        new float[] {2, 6, 4, 8, 9, 9, 9, 9},
        y,
        () -> {
          start.assign(x.reshape(2, 2).mul(2).transpose().reshape(4));
          return none;
        });
  }
}
