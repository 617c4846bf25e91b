// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.Arrays;
import reverie.tensor.Tensor;

/** Numbers with a shape, on their way from one library to the other. */
record HostTensor(float[] values, long... shape) {
  /** As it is. */
  static HostTensor of(Tensor tensor) {
    return new HostTensor(
        tensor.toFloats(), Arrays.stream(tensor.shape().dims()).asLongStream().toArray());
  }

  /** Images {@code [n, h, w, c]} as LibTorch wants them: {@code [n, c, h, w]}. */
  static HostTensor image(Tensor nhwc) {
    return of(nhwc.permute(0, 3, 1, 2));
  }

  /** One number per sample, to be broadcast over images: {@code [n, 1, 1, 1]}. */
  static HostTensor column(double... values) {
    return new HostTensor(floats(values), values.length, 1, 1, 1);
  }

  /** {@code [n]}. */
  static HostTensor row(double... values) {
    return new HostTensor(floats(values), values.length);
  }

  private static float[] floats(double... values) {
    float[] out = new float[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = (float) values[i];
    }
    return out;
  }
}
