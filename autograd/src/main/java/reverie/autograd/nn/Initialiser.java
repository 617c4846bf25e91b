// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import java.util.Arrays;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/** The first values of a parameter. */
@FunctionalInterface
public interface Initialiser {
  /** A tensor of these dimensions whose random numbers, if any, come from {@code rng}. */
  Tensor make(Device device, Rng rng, int... dims);

  /** Zeros. */
  static Initialiser zeros() {
    return (device, _, dims) -> device.zeros(dims);
  }

  /** Ones. */
  static Initialiser ones() {
    return (device, _, dims) -> device.full(1, dims);
  }

  /** Normal numbers of this standard deviation around 0. */
  static Initialiser normal(double deviation) {
    return (device, rng, dims) -> rng.normal(device, dims).mul(deviation);
  }

  /** Uniform numbers from −bound to bound. */
  static Initialiser uniform(double bound) {
    return (device, rng, dims) -> {
      int size = Math.toIntExact(Shape.of(dims).size());
      Tensor flat = device.unset(device.floatType(), size);
      // Block by block, so that the heap need not hold a large weight.
      for (int from = 0, count; from < size; from += count) {
        int first = from;
        count = Math.min(1 << 18, size - from);
        double[] values = new double[count];
        // Addressed by position, so that any number of threads gives the same.
        Arrays.parallelSetAll(values, i -> bound * (2 * rng.uniform(first + i) - 1));
        flat.slice(0, from, from + count).assign(values);
      }
      return flat.reshape(dims);
    };
  }

  /**
   * PyTorch's default for the weights and biases of linear layers and convolutions: uniform within
   * 1/√fanIn, which is Kaiming's with a = √5.
   */
  static Initialiser fanIn(int fanIn) {
    return uniform(1 / Math.sqrt(fanIn));
  }
}
