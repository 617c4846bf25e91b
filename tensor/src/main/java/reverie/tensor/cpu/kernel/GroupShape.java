// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;

/** Sizes of a group normalisation: n images of so many pixels, c channels in groups. */
public record GroupShape(int n, int pixels, int c, int groups) {
  public static GroupShape of(Tensor x, int groups) {
    int pixels = 1;
    for (int axis = 1; axis < x.shape().rank() - 1; axis++) {
      pixels *= x.dim(axis);
    }
    return new GroupShape(x.dim(0), pixels, x.dim(-1), groups);
  }

  /** Channels of a group. */
  public int width() {
    return c / groups;
  }

  /** Elements of a group of an image. */
  public long count() {
    return (long) pixels * width();
  }
}
