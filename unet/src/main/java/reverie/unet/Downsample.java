// SPDX-License-Identifier: Apache-2.0
package reverie.unet;

import reverie.autograd.nn.Conv2d;
import reverie.autograd.nn.Parameters;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;
import reverie.tensor.op.Pad;

/** diffusers' {@code Downsample2D}: a convolution that halves both sides. */
public final class Downsample {
  private final Conv2d conv;
  private final boolean padAfter;

  /**
   * Makes {@code conv}.
   *
   * @param padding 1 for zeros all round; with 0 there are zeros at the right and bottom only
   */
  public Downsample(Parameters p, int channels, int padding) {
    conv = new Conv2d(p.at("conv"), channels, channels, 3, 2, padding);
    padAfter = padding == 0;
  }

  /** From {@code [n, h, w, c]} to {@code [n, ⌈h/2⌉, ⌈w/2⌉, c]}; rounds down if padded after. */
  public Tensor forward(Tensor x) {
    return conv.forward(padAfter ? Ops.apply(new Pad(2, 0, 1), Ops.apply(new Pad(1, 0, 1), x)) : x);
  }
}
