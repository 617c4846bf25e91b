// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import static reverie.tensor.catalog.Input.normal;
import static reverie.tensor.catalog.Input.positive;

import reverie.tensor.catalog.Tolerance.Close;
import reverie.tensor.catalog.Tolerance.Exact;
import reverie.tensor.catalog.Tolerance.Largest;
import reverie.tensor.op.AveragePool;
import reverie.tensor.op.GaussianLogProb;
import reverie.tensor.op.Geglu;
import reverie.tensor.op.GegluBackward;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNorm.Activation;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.LayerNormBackward;
import reverie.tensor.op.Op;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.SoftmaxBackward;
import reverie.tensor.op.UpsampleNearest;

/** Samples of fused operations of network layers. */
final class LayerSamples {
  private LayerSamples() {}

  static Entry groupNorm() {
    Entry entry = new Entry().within(new Largest(3e-6));
    for (int groups : new int[] {1, 2, 6}) {
      entry.smooth(new GroupNorm(groups, 1e-5), normal(2, 3, 5, 6), normal(6), normal(6));
    }
    return entry
        .smooth(new GroupNorm(1, 1e-3), normal(1, 3), normal(3), normal(3))
        .smooth(new GroupNorm(2, 1e-5, Activation.SILU), normal(2, 3, 5, 6), normal(6), normal(6))
        .rough(
            new GroupNorm(32, 1e-5, Activation.SILU), normal(2, 17, 19, 64), normal(64), normal(64))
        .smooth(new GroupNorm(3, 0.1), normal(2, 1, 1, 3), normal(3), normal(3))
        .smooth(new GroupNorm(2, 1e-5), normal(0, 3, 5, 6), normal(6), normal(6))
        .rough(new GroupNorm(8, 1e-5), normal(3, 13, 11, 40), normal(40), normal(40))
        .rough(new GroupNorm(32, 1e-6), normal(2, 7, 7, 64), normal(64), normal(64))
        // A mean far from zero: a variance from a difference of squares would lose all digits.
        .within(new Largest(2e-4))
        .rough(
            new GroupNorm(2, 1e-5),
            Input.of(Values.uniform(100, 101), 2, 7, 7, 6),
            normal(6),
            normal(6))
        .refuse(
            "expected channels that divide into 4 groups",
            new GroupNorm(4, 1e-5),
            normal(1, 6),
            normal(6),
            normal(6))
        .refuse(
            "expected gamma (input 1) of shape [6]",
            new GroupNorm(2, 1e-5),
            normal(1, 6),
            normal(5),
            normal(6))
        .refuse(
            "expected input 0 of rank 2 or more",
            new GroupNorm(2, 1e-5),
            normal(6),
            normal(6),
            normal(6))
        .refuseMaking(
            "expected groups ≥ 1 and epsilon > 0, got 0 and 1.0", () -> new GroupNorm(0, 1));
  }

  static Entry groupNormBackward() {
    Entry entry = new Entry().within(new Largest(5e-6));
    for (int groups : new int[] {1, 2, 6}) {
      groupNormBackward(entry, true, groups, 2, 3, 5, 6);
    }
    groupNormBackward(entry, true, 3, 1, 3);
    groupNormBackward(entry, true, 2, 0, 3, 5, 6);
    groupNormBackward(entry, false, 8, 3, 13, 11, 40);
    return entry.refuse(
        "expected mean (input 3) of shape [1, 2]",
        new GroupNormBackward(2),
        normal(1, 5, 6),
        normal(6),
        normal(6),
        normal(2),
        normal(1, 2),
        normal(1, 5, 6));
  }

  private static void groupNormBackward(Entry entry, boolean smooth, int groups, int... dims) {
    Input x = normal(dims);
    Input gamma = normal(dims[dims.length - 1]);
    for (Activation activation : Activation.values()) {
      Op op = new GroupNormBackward(groups, activation);
      Input mean = normal(dims[0], groups);
      Input rstd = positive(dims[0], groups);
      if (smooth) {
        entry.smooth(op, x, gamma, gamma, mean, rstd, x);
      } else {
        entry.rough(op, x, gamma, gamma, mean, rstd, x);
      }
    }
  }

  static Entry layerNorm() {
    Op op = new LayerNorm(1e-5);
    return new Entry()
        .within(new Largest(3e-6))
        .smooth(op, normal(5), normal(5), normal(5))
        .smooth(op, normal(3, 7), normal(7), normal(7))
        .smooth(op, normal(2, 3, 4), normal(4), normal(4))
        .smooth(op, normal(0, 4), normal(4), normal(4))
        .smooth(new LayerNorm(0.1), normal(3, 1), normal(1), normal(1))
        .rough(op, normal(2, 61, 77), normal(77), normal(77))
        .within(new Largest(2e-4))
        .rough(op, Input.of(Values.uniform(100, 101), 5, 33), normal(33), normal(33))
        .refuse("expected gamma (input 1) of shape [7]", op, normal(3, 7), normal(3), normal(7))
        .refuseMaking("expected epsilon > 0, got 0.0", () -> new LayerNorm(0));
  }

  static Entry layerNormBackward() {
    Op op = new LayerNormBackward();
    return new Entry()
        .within(new Largest(5e-6))
        .smooth(op, normal(5), normal(5), normal(), positive(), normal(5))
        .smooth(op, normal(3, 7), normal(7), normal(3), positive(3), normal(3, 7))
        .smooth(op, normal(2, 3, 4), normal(4), normal(2, 3), positive(2, 3), normal(2, 3, 4))
        .smooth(op, normal(0, 4), normal(4), normal(0), positive(0), normal(0, 4))
        .rough(op, normal(61, 77), normal(77), normal(61), positive(61), normal(61, 77))
        .refuse(
            "expected rstd (input 3) of shape [3]",
            op,
            normal(3, 7),
            normal(7),
            normal(3),
            normal(7),
            normal(3, 7));
  }

  static Entry softmax() {
    Op op = new Softmax();
    return new Entry()
        .within(new Close(3e-6, 1e-37))
        .smooth(op, normal(1))
        .smooth(op, normal(5))
        .smooth(op, normal(3, 7))
        .smooth(op, normal(2, 3, 1))
        .smooth(op, normal(0, 3))
        .smooth(op, normal(3, 0))
        .rough(op, normal(67, 129))
        .within(new Close(1e-4, 1e-37))
        .rough(op, Input.of(Values.uniform(-500, 500), 7, 33))
        .refuse("expected input 0 of rank 1 or more", op, normal());
  }

  static Entry softmaxBackward() {
    Op op = new SoftmaxBackward();
    return new Entry()
        .within(new Largest(2e-6))
        .smooth(op, positive(5), normal(5))
        .smooth(op, positive(3, 7), normal(3, 7))
        .smooth(op, positive(2, 3, 1), normal(2, 3, 1))
        .smooth(op, positive(0, 3), normal(0, 3))
        .rough(op, positive(67, 129), normal(67, 129))
        .refuse("expected inputs 0 and 1 of the same shape", op, normal(3, 5), normal(5));
  }

  static Entry geglu() {
    Op op = new Geglu();
    return new Entry()
        .within(new Close(2e-6, 1e-6))
        .smooth(op, normal(2))
        .smooth(op, normal(3, 10))
        .smooth(op, normal(2, 3, 14))
        .smooth(op, normal(0, 4))
        .rough(op, normal(61, 258))
        .refuse("expected an even last dimension", op, normal(3, 5));
  }

  static Entry gegluBackward() {
    Op op = new GegluBackward();
    return new Entry()
        .within(new Close(2e-6, 2e-6))
        .smooth(op, normal(2), normal(1))
        .smooth(op, normal(3, 10), normal(3, 5))
        .smooth(op, normal(0, 4), normal(0, 2))
        .rough(op, normal(61, 258), normal(61, 129))
        .refuse("expected x[…, 2c] and dy[…, c]", op, normal(3, 10), normal(3, 4));
  }

  static Entry gaussianLogProb() {
    Op op = new GaussianLogProb();
    return new Entry()
        .within(new Close(3e-6, 1e-5))
        .smooth(op, normal(3, 5), normal(3, 5), positive(3))
        .smooth(op, normal(2, 3, 3, 2), normal(2, 3, 3, 2), positive(2))
        .smooth(op, normal(1, 1), normal(1, 1), positive(1))
        .smooth(op, normal(0, 4), normal(0, 4), positive(0))
        .rough(op, normal(5, 16, 16, 3), normal(5, 16, 16, 3), positive(5))
        .refuse(
            "expected sigma (input 2) of shape [3]", op, normal(3, 5), normal(3, 5), positive(1))
        .refuse("expected inputs 0 and 1 of the same", op, normal(3, 5), normal(5), positive(3));
  }

  static Entry averagePool() {
    return new Entry()
        .within(new Tolerance.Terms(16))
        .smooth(new AveragePool(1), normal(1, 2, 3, 2))
        .smooth(new AveragePool(2), normal(2, 4, 6, 3))
        .smooth(new AveragePool(3), normal(1, 3, 6, 1))
        .smooth(new AveragePool(2), normal(0, 4, 4, 3))
        .rough(new AveragePool(4), normal(2, 16, 12, 37))
        .refuse("expected sides that divide by 2", new AveragePool(2), normal(1, 3, 4, 1))
        .refuseMaking("expected factor ≥ 1, got 0", () -> new AveragePool(0));
  }

  static Entry upsampleNearest() {
    return new Entry()
        .within(new Exact())
        .smooth(new UpsampleNearest(1), normal(1, 2, 3, 2))
        .smooth(new UpsampleNearest(2), normal(2, 3, 5, 3))
        .smooth(new UpsampleNearest(3), normal(1, 1, 2, 1))
        .smooth(new UpsampleNearest(2), normal(0, 4, 4, 3))
        .rough(new UpsampleNearest(2), normal(2, 13, 11, 37))
        .refuse("expected input 0 of rank 4", new UpsampleNearest(2), normal(3, 4, 1))
        .refuseMaking("expected factor ≥ 1, got 0", () -> new UpsampleNearest(0));
  }
}
