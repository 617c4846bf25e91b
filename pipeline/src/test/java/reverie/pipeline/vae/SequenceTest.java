// SPDX-License-Identifier: Apache-2.0
package reverie.pipeline.vae;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

class SequenceTest {
  private final Device device = Device.cpu();

  @Test
  void memoryDoesNotGrowWithTheLayers() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(device, 4, 1000);
      long before = device.liveBytes();
      List<Long> live = new ArrayList<>();
      Sequence layers = new Sequence();
      for (int i = 0; i < 6; i++) {
        layers.add(y -> {
          live.add(device.liveBytes() - before);
          return y.add(1).mul(0.5);
        });
      }
      layers.add(y -> y.transpose());
      Tensor out = layers.forwardFreeing(x);
      assertArrayEquals(layers.forward(x).toFloats(), out.toFloats());
      // At the beginning of a layer there is what the one before made.
      assertEquals(List.of(0L, 16000L, 16000L, 16000L, 16000L, 16000L), live.subList(0, 6));
      layers.add(y -> {
        throw new IllegalStateException("a layer fails");
      });
      long after = device.liveBytes();
      assertThrows(IllegalStateException.class, () -> layers.forwardFreeing(x));
      assertEquals(after, device.liveBytes());
    }
  }
}
