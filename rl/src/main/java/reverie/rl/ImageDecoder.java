// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import reverie.tensor.Tensor;

/** From what a model draws to images, without gradients. */
@FunctionalInterface
public interface ImageDecoder {
  /** For a model that draws images. */
  ImageDecoder NONE = drawn -> drawn;

  /**
   * Decodes.
   *
   * @param drawn {@code [n, h, w, c]}, finished samples
   * @return {@code [n, height, width, 1 or 3]} with values from −1 to 1, in the open scope
   */
  Tensor decode(Tensor drawn);
}
