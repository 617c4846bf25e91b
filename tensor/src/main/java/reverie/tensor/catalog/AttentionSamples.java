// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.catalog;

import static reverie.tensor.catalog.Input.normal;

import reverie.tensor.catalog.Tolerance.Largest;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;

/** Samples of attention. */
final class AttentionSamples {
  /** {batch, queries, keys, depth, depth of the values, heads}. */
  private static final int[][] ATTENTIONS = {
    {1, 1, 1, 1, 1, 1},
    {2, 3, 5, 4, 3, 1},
    {1, 7, 2, 3, 5, 2},
    {2, 0, 3, 4, 4, 1},
    {2, 5, 3, 2, 1, 3}
  };

  /** Sizes for which backends may have loops of their own, and some for which they have none. */
  private static final int[][] LARGE_ATTENTIONS = {
    {3, 67, 129, 33, 31, 1},
    {2, 256, 10, 8, 8, 4},
    {1, 64, 64, 16, 16, 4},
    {1, 256, 256, 8, 8, 1},
    {1, 257, 77, 32, 32, 1},
    {1, 31, 66, 40, 40, 2},
    {1, 17, 1, 64, 64, 8},
    {1, 1024, 13, 8, 8, 1}
  };

  private AttentionSamples() {}

  static Entry attention() {
    Entry entry = new Entry().within(new Largest(3e-6));
    for (int[] a : ATTENTIONS) {
      entry.smooth(new Attention(0.5, a[5]), q(a), k(a), v(a));
    }
    for (int[] a : LARGE_ATTENTIONS) {
      entry.rough(new Attention(0.125, a[5]), q(a), k(a), v(a));
    }
    return entry
        // Scores up to some hundreds: exponentials would overflow without the largest one taken
        // away.
        .within(new Largest(1e-4))
        .rough(new Attention(10, 1), normal(1, 13, 16), normal(1, 11, 16), normal(1, 11, 16))
        .refuse(
            "expected k (input 1) of shape [1, 5, 4]",
            new Attention(1, 1),
            normal(1, 3, 4),
            normal(1, 5, 3),
            normal(1, 5, 2))
        .refuse(
            "expected at least one key",
            new Attention(1, 1),
            normal(1, 3, 4),
            normal(1, 0, 4),
            normal(1, 0, 4))
        .refuse(
            "expected channels that divide into 3 heads",
            new Attention(1, 3),
            normal(1, 3, 4),
            normal(1, 5, 4),
            normal(1, 5, 6))
        .refuse(
            "expected input 2 of rank 3",
            new Attention(1, 1),
            normal(1, 3, 4),
            normal(1, 5, 4),
            normal(5, 4))
        .refuseMaking("expected heads ≥ 1, got 0", () -> new Attention(1, 0));
  }

  static Entry attentionBackward() {
    Entry entry = new Entry().within(new Largest(5e-6));
    for (int[] a : ATTENTIONS) {
      entry.smooth(new AttentionBackward(0.5, a[5]), q(a), k(a), v(a), y(a), logSumExp(a), y(a));
    }
    for (int[] a : LARGE_ATTENTIONS) {
      entry.rough(new AttentionBackward(0.125, a[5]), q(a), k(a), v(a), y(a), logSumExp(a), y(a));
    }
    return entry.refuse(
        "expected y and dy",
        new AttentionBackward(1, 1),
        normal(1, 3, 4),
        normal(1, 5, 4),
        normal(1, 5, 2),
        normal(1, 3, 2),
        normal(1, 1, 3),
        normal(1, 3, 4));
  }

  private static Input q(int[] a) {
    return normal(a[0], a[1], a[5] * a[3]);
  }

  private static Input k(int[] a) {
    return normal(a[0], a[2], a[5] * a[3]);
  }

  private static Input v(int[] a) {
    return normal(a[0], a[2], a[5] * a[4]);
  }

  private static Input y(int[] a) {
    return normal(a[0], a[1], a[5] * a[4]);
  }

  private static Input logSumExp(int[] a) {
    return Input.of(Values.uniform(1, 3), a[0], a[5], a[1]);
  }
}
