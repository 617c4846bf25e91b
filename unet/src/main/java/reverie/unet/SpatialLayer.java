// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import reverie.tensor.Tensor;

/** What follows a residual block: attention among the pixels, perhaps also to the context. */
interface SpatialLayer {
  /**
   * The same shape again.
   *
   * @param x {@code [n, h, w, c]}
   * @param context {@code [n, tokens, d]} or null
   */
  Tensor forward(Tensor x, Tensor context);
}
