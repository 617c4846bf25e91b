// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.laws;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import reverie.tensor.Device;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/** A target inside a larger tensor of NaN, at an offset that no vector is aligned to. */
final class Window {
  private static final int MARGIN = 67;
  private final Tensor all;
  private final Tensor target;
  private final int size;

  Window(Device device, TensorType type) {
    size = Math.toIntExact(type.shape().size());
    int length = size + 2 * MARGIN;
    if (type.dtype().isFloating()) {
      double[] nan = new double[length];
      Arrays.fill(nan, Double.NaN);
      all = device.tensor(nan, length);
    } else {
      all = device.indices(IntStream.range(0, length).map(_ -> -1).toArray(), length);
    }
    target = all.slice(0, MARGIN, MARGIN + size).reshape(type.shape().dims());
  }

  Tensor target() {
    return target;
  }

  void checkSurroundings(String what) {
    double[] values = all.toDoubles();
    for (int i = 0; i < values.length; i++) {
      boolean inside = i >= MARGIN && i < MARGIN + size;
      assertTrue(
          inside || Double.isNaN(values[i]) || values[i] == -1, what + " wrote at " + (i - MARGIN));
    }
  }
}
