// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Weights that no cache holds are read in another order than small ones: the bits of an output
 * channel do not depend on how many others there are.
 */
class LargeWeightsTest {
  private static final int PARTS = 5;

  private final Device device = Device.cpu();

  /** Winograd's algorithm with large filters, with huge ones, in turns, and with few tiles. */
  @ParameterizedTest
  @CsvSource({"28, 256, 320", "16, 512, 480", "36, 704, 720", "8, 160, 480"})
  void convolve(int side, int in, int out) {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(device, 1, side, side, in);
      Tensor weight = Rng.of(2).normal(device, 3, 3, in, out);
      Tensor bias = Rng.of(3).normal(device, out);
      Tensor whole = Ops.conv2d(x, weight, bias, 1, 1);
      for (int part = 0; part < PARTS; part++) {
        int from = part * out / PARTS;
        int to = from + out / PARTS;
        Tensor some =
            Ops.conv2d(x, weight.slice(3, from, to).contiguous(), bias.slice(0, from, to), 1, 1);
        assertArrayEquals(whole.slice(3, from, to).toFloats(), some.toFloats());
      }
    }
  }

  /** More columns than a core's second cache takes at once, and tasks of some columns. */
  @ParameterizedTest
  @CsvSource({"1800, 512, 640", "1800, 1030, 320", "1100, 1024, 640", "1900, 1030, 1040"})
  void multiply(int rows, int in, int out) {
    try (Scope _ = Scope.open("test")) {
      Tensor x = Rng.of(1).normal(device, rows, in);
      Tensor weight = Rng.of(2).normal(device, out, in);
      Tensor whole = Ops.linear(x, weight, null);
      for (int part = 0; part < PARTS; part++) {
        int from = part * out / PARTS;
        int to = from + out / PARTS;
        Tensor some = Ops.linear(x, weight.slice(0, from, to).contiguous(), null);
        assertArrayEquals(whole.slice(1, from, to).toFloats(), some.toFloats());
      }
    }
  }

  @Test
  void feedForward() {
    try (Scope _ = Scope.open("test")) {
      int in = 520;
      int wide = 2 * 525;
      Tensor x = Rng.of(1).normal(device, 1030, in);
      Tensor up = Rng.of(2).normal(device, wide, in);
      Tensor upBias = Rng.of(3).normal(device, wide);
      Tensor down = Rng.of(4).normal(device, in, wide / 2);
      Tensor downBias = Rng.of(5).normal(device, in);
      Tensor gated = Ops.geglu(Ops.linear(x, up, upBias));
      assertArrayEquals(
          Ops.linear(gated, down, downBias, x).toFloats(),
          Ops.feedForward(x, up, upBias, down, downBias, x).toFloats());
    }
  }
}
