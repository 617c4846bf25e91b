// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class GradientTreeTest {
  private static final int SIZE = 40;

  private final Device device = Device.cpu();
  private Scope scope;
  private Parameters parameters;
  private GradientAccumulator gradients;

  @BeforeEach
  void open() {
    scope = Scope.open("test");
    parameters = Parameters.random(device, Rng.of(1));
    parameters.create("p", AxisOrder.SAME, Initialiser.zeros(), 5, 8);
    gradients = new GradientAccumulator(parameters.trainable());
  }

  @AfterEach
  void close() {
    gradients.close();
    parameters.close();
    scope.close();
  }

  @Test
  void theShapeOfTheTreeIsKnown() {
    float[][] g = shards(7);
    float[] expected = new float[SIZE];
    for (int i = 0; i < SIZE; i++) {
      float four = (g[0][i] + g[1][i]) + (g[2][i] + g[3][i]);
      float two = g[4][i] + g[5][i];
      expected[i] = four + (two + g[6][i]);
    }
    assertArrayEquals(expected, sum(g));
  }

  /** All 2^(S − 1) ways to give shards in a row to machines. */
  @Test
  void theBitsAreTheSameHoweverTheShardsAreDivided() {
    for (int count : new int[] {1, 2, 5, 6}) {
      float[][] shards = shards(count);
      float[] expected = sum(shards);
      for (int cuts = 0; cuts < 1 << count - 1; cuts++) {
        assertArrayEquals(expected, cut(shards, cuts), "cuts " + cuts + " of " + count);
      }
    }
  }

  /** Each machine hands on the nodes that it completes; bit k of {@code cuts} ends one after k. */
  private float[] cut(float[][] shards, int cuts) {
    try (var all = new GradientTree()) {
      var own = new GradientTree();
      for (int k = 0; k < shards.length; k++) {
        own.add(k, 1, device.tensor(shards[k], SIZE));
        if (k == shards.length - 1 || (cuts >> k & 1) == 1) {
          for (GradientTree.Node node : own.nodes()) {
            all.add(node.first(), node.shards(), node.sum());
          }
          own.close();
        }
      }
      all.moveTo(gradients.all());
      return gradients.all().toFloats();
    }
  }

  private float[] sum(float[]... shards) {
    GradientTree.sum(
        gradients,
        shards.length,
        k -> gradients.all().assign(gradients.all().add(device.tensor(shards[k], SIZE))));
    return gradients.all().toFloats();
  }

  /** Numbers of which no two orders of summation agree. */
  private static float[][] shards(int count) {
    Random random = new Random(5);
    float[][] shards = new float[count][SIZE];
    for (float[] shard : shards) {
      for (int i = 0; i < SIZE; i++) {
        shard[i] = (float) (random.nextGaussian() * Math.exp(3 * random.nextGaussian()));
      }
    }
    return shards;
  }

  @Test
  void leavesNoMemoryBehind() {
    long before = device.liveBytes();
    try (Scope _ = Scope.open("sum")) {
      sum(shards(6));
    }
    assertEquals(before, device.liveBytes());
  }

  @Test
  void gapsAreRefused() {
    try (var tree = new GradientTree()) {
      Tensor zeros = device.zeros(SIZE);
      tree.add(0, 2, zeros);
      for (int[] wrong : new int[][] {{3, 1}, {1, 1}, {2, 3}, {2, 4}}) {
        var error = assertThrows(ReverieException.class, () -> tree.add(wrong[0], wrong[1], zeros));
        assertEquals(
            "gradient tree: expected the shards after 1, got "
                + wrong[1]
                + " shards from "
                + wrong[0]
                + " on",
            error.getMessage().lines().findFirst().orElseThrow());
      }
    }
  }
}
