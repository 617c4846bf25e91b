// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import reverie.autograd.nn.Context;
import reverie.tensor.Tensor;

/** What follows a residual block: attention among the pixels, perhaps also to the context. */
interface SpatialLayer {
  /**
   * The same shape again.
   *
   * @param x {@code [n, h, w, c]}
   * @param context may be null
   */
  Tensor forward(Tensor x, Context context);
}
