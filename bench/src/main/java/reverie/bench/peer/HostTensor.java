// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import java.util.Arrays;
import java.util.function.Supplier;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Numbers with a shape, on their way from one library to the other. They are fetched when they are
 * asked for, so that those of a large model are never all in the heap.
 */
record HostTensor(Supplier<float[]> numbers, long... shape) {
  /** A tensor that lives on until it is fetched, as it is. */
  static HostTensor of(Tensor tensor) {
    return of(() -> tensor);
  }

  /** What becomes of a tensor that lives on. */
  static HostTensor of(Supplier<Tensor> view) {
    try (Scope _ = Scope.open("shape")) {
      int[] dims = view.get().shape().dims();
      return new HostTensor(() -> fetch(view), Arrays.stream(dims).asLongStream().toArray());
    }
  }

  /** The same number everywhere. */
  static HostTensor constant(float value, int... dims) {
    int size = Arrays.stream(dims).reduce(1, Math::multiplyExact);
    return new HostTensor(
        () -> {
          float[] all = new float[size];
          Arrays.fill(all, value);
          return all;
        },
        Arrays.stream(dims).asLongStream().toArray());
  }

  private static float[] fetch(Supplier<Tensor> view) {
    try (Scope _ = Scope.open("to the peer")) {
      return view.get().toFloats();
    }
  }

  /** Images {@code [n, h, w, c]} as LibTorch wants them: {@code [n, c, h, w]}. */
  static HostTensor image(Tensor nhwc) {
    return of(() -> nhwc.permute(0, 3, 1, 2));
  }

  /** One number per sample, to be broadcast over images: {@code [n, 1, 1, 1]}. */
  static HostTensor column(double... values) {
    return new HostTensor(() -> floats(values), values.length, 1, 1, 1);
  }

  /** {@code [n]}. */
  static HostTensor row(double... values) {
    return new HostTensor(() -> floats(values), values.length);
  }

  float[] values() {
    return numbers.get();
  }

  private static float[] floats(double... values) {
    float[] out = new float[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = (float) values[i];
    }
    return out;
  }
}
