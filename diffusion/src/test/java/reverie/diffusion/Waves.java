// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import reverie.tensor.Device;
import reverie.tensor.Tensor;

/**
 * The inputs of the reference numbers: two samples of 4·8·8 elements, sines of the element's index.
 */
record Waves(Tensor x, Tensor output, Tensor noise) {
  static Waves on(Device device, boolean single) {
    return new Waves(
        tensor(device, single, n -> Math.sin(0.37 * n + 0.1)),
        tensor(device, single, n -> Math.cos(0.23 * n + 0.2)),
        tensor(device, single, n -> 1.2 * Math.sin(0.91 * n + 0.3)));
  }

  private static Tensor tensor(Device device, boolean single, IntToDoubleFunction wave) {
    double[] values =
        IntStream.range(0, 512)
            .mapToDouble(n -> single ? (float) wave.applyAsDouble(n) : wave.applyAsDouble(n))
            .toArray();
    return device.tensor(values, 2, 4, 8, 8);
  }
}
