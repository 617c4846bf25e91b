// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.Pad;
import reverie.tensor.op.ScatterRows;

/** The oracle against numbers worked out by hand and identities that it does not use itself. */
class ReferenceBackendTest {
  private final Device device = Device.reference();
  private Scope scope;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
  }

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void broadcasts() {
    Tensor a = device.tensor(new double[] {1, 2, 3, 4, 5, 6}, 2, 3);
    Tensor b = device.tensor(new double[] {10, 20}, 2, 1);
    assertArrayEquals(new double[] {11, 12, 13, 24, 25, 26}, a.add(b).toDoubles());
    assertArrayEquals(new double[] {-1, 0, 1, 2, 3, 4}, a.sub(device.scalar(2)).toDoubles());
    Tensor mask = device.tensor(new double[] {1, 0, 1}, 3);
    assertArrayEquals(new double[] {1, 10, 3, 4, 20, 6}, Ops.where(mask, a, b).toDoubles());
  }

  @Test
  void errorFunctionIsExactInDouble() {
    // Abramowitz and Stegun, table 7.1, and the tail of erfc.
    Tensor x = device.tensor(new double[] {0, 0.5, 1, 2, -1}, 5);
    assertArrayEquals(
        new double[] {
          0, 0.5204998778130465, 0.8427007929497149, 0.9953222650189527, -0.8427007929497149
        },
        x.erf().toDoubles(),
        1e-15);
    assertEquals(-6.2209605742717841e-16 * 8, device.scalar(-8).gelu().item(), 1e-28);
  }

  @Test
  void reducesAndMultiplies() {
    Tensor a = device.tensor(new double[] {1, 2, 3, 4, 5, 6}, 2, 3);
    assertArrayEquals(new double[] {5, 7, 9}, a.sum(0).toDoubles());
    assertArrayEquals(new double[] {2, 5}, a.mean(-1).toDoubles());
    assertEquals(6, a.max().item());
    assertArrayEquals(new double[] {14, 32, 32, 77}, a.matmul(a.transpose()).toDoubles());
    Tensor batch = device.tensor(new double[] {1, 0, 0, 1, 2, 0, 0, 2}, 2, 2, 2);
    assertArrayEquals(
        new double[] {1, 2, 3, 4, 5, 6, 2, 4, 6, 8, 10, 12}, batch.matmul(a).toDoubles());
  }

  @Test
  void movesElements() {
    Tensor a = device.tensor(new double[] {1, 2, 3, 4}, 2, 2);
    assertArrayEquals(
        new double[] {1, 2, 1, 3, 4, 3}, Ops.concat(1, a, a.slice(1, 0, 1)).toDoubles());
    assertArrayEquals(new double[] {0, 1, 2, 0, 3, 4}, Ops.apply(new Pad(1, 1, 0), a).toDoubles());
    Tensor indices = device.indices(new int[] {1, 1, 7}, 3);
    assertArrayEquals(
        new double[] {3, 4, 3, 4, Double.NaN, Double.NaN}, Ops.embedding(a, indices).toDoubles());
    Tensor dy = device.tensor(new double[] {1, 2, 3, 4, 5, 6}, 3, 2);
    assertArrayEquals(
        new double[] {0, 0, 4, 6}, Ops.apply(new ScatterRows(2), dy, indices).toDoubles());
  }

  @Test
  void convolvesByHand() {
    Tensor x = device.tensor(new double[] {1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 3, 3, 1);
    Tensor weight = device.tensor(new double[] {1, 10, 100, 1000}, 2, 2, 1, 1);
    assertArrayEquals(
        new double[] {5421.5, 6532.5, 8754.5, 9865.5},
        Ops.conv2d(x, weight, device.full(0.5, 1), 1, 0).toDoubles());
    assertArrayEquals(
        new double[] {1000, 3200, 7040, 9865}, Ops.conv2d(x, weight, null, 2, 1).toDoubles());
  }

  /** ⟨conv(x, w), dy⟩ is linear in x and in w, so both gradients give the same number back. */
  @Test
  void convolutionGradientsAreAdjoint() {
    Rng rng = Rng.of(3);
    Tensor x = rng.fork(1).normal(device, 2, 7, 5, 3);
    Tensor weight = rng.fork(2).normal(device, 3, 2, 3, 4);
    Tensor y = Ops.apply(new Conv2d(2, 1), x, weight);
    Tensor dy = rng.fork(3).normal(device, y.shape().dims());
    Tensor dx = Ops.apply(new Conv2dInputGradient(2, 1, 7, 5), dy, weight);
    Tensor dweight = Ops.apply(new Conv2dWeightGradient(2, 1, 3, 2), x, dy);
    double expected = y.mul(dy).sum().item();
    assertEquals(expected, dx.mul(x).sum().item(), 1e-12);
    assertEquals(expected, dweight.mul(weight).sum().item(), 1e-12);
  }

  @Test
  void decomposesFusedOperations() {
    Tensor x = Rng.of(5).normal(device, 2, 3, 3, 4);
    Tensor[] out = Ops.applyAll(new GroupNorm(2, 1e-6), x, device.full(1, 4), device.zeros(4));
    Tensor group = out[0].slice(3, 2, 4);
    assertArrayEquals(new double[] {0, 0}, group.mean(1, 2, 3).toDoubles(), 1e-15);
    assertArrayEquals(new double[] {1, 1}, group.square().mean(1, 2, 3).toDoubles(), 1e-5);
  }

  @Test
  void updatesThroughADecomposition() {
    Tensor p = device.tensor(new double[] {1, 2}, 2);
    Tensor g = device.tensor(new double[] {0.5, -3}, 2);
    Tensor m = device.zeros(2);
    Tensor v = device.zeros(2);
    Tensor control = device.tensor(new double[] {0.1, 0.1, 0.001, 1}, 4);
    Ops.update(new AdamW(0.9, 0.999, 0, 0), new Tensor[] {p, m, v}, p, g, m, v, control);
    assertArrayEquals(new double[] {0.9, 2.1}, p.toDoubles(), 1e-12);
    assertArrayEquals(new double[] {0.05, -0.3}, m.toDoubles(), 1e-12);
  }

  @Test
  void normalNumbersHaveTheRightMoments() {
    Tensor z = Rng.of(11).normal(device, 20_000);
    assertEquals(0, z.mean().item(), 0.03);
    assertEquals(1, z.square().mean().item(), 0.04);
  }
}
