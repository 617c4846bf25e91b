// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.autograd.nn.Parameter;
import reverie.rl.Policy;
import reverie.rl.learn.FleetProvider.Opened;
import reverie.tensor.Scope;

class WeightsTest {
  /** Parameters of 72, 8, 48 and 6 floats in pieces of at most 16. */
  @Test
  void piecesAreAllOfTheWeights() throws Exception {
    try (Scope _ = Scope.open("test")) {
      Opened opened = TinyJob.of("ddpo").open();
      Policy policy = opened.job().policy();
      List<Parameter> parameters = policy.parameters().trainable();
      List<float[]> values = parameters.stream().map(p -> p.value().toFloats()).toList();
      Weights weights = Weights.of(policy, Cluster.spark(), 1, 16 * Float.BYTES);
      int[] sizes = weights.pieces().stream().mapToInt(piece -> piece.value().length / 4).toArray();
      assertEquals(values.stream().mapToInt(own -> own.length).sum(), Arrays.stream(sizes).sum());
      assertTrue(Arrays.stream(sizes).allMatch(size -> size <= 16), Arrays.toString(sizes));
      assertTrue(weights.areThoseOf(policy));
      for (Parameter parameter : parameters) {
        parameter.value().assign(parameter.value().add(1));
        assertFalse(weights.areThoseOf(policy), parameter.name());
        weights.copyTo(policy);
        assertTrue(weights.areThoseOf(policy), parameter.name());
      }
      for (int i = 0; i < values.size(); i++) {
        assertArrayEquals(values.get(i), parameters.get(i).value().toFloats());
      }
      weights.destroy();
      opened.parts().close();
    }
  }
}
