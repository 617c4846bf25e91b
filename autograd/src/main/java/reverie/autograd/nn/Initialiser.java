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
      double[] values = new double[Math.toIntExact(Shape.of(dims).size())];
      // Addressed by position, so that any number of threads gives the same.
      Arrays.parallelSetAll(values, i -> bound * (2 * rng.uniform(i) - 1));
      return device.tensor(values, dims);
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
