// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/** A convolution with a square kernel and a bias. */
public final class Conv2d {
  private final Parameter weight;
  private final Parameter bias;
  private final int stride;
  private final int padding;

  /** Makes {@code weight [kernel, kernel, in, out]} and {@code bias [out]}. */
  public Conv2d(Parameters parameters, int in, int out, int kernel, int stride, int padding) {
    Initialiser initialiser = Initialiser.fanIn(in * kernel * kernel);
    weight = parameters.create("weight", AxisOrder.CONV, initialiser, kernel, kernel, in, out);
    bias = parameters.create("bias", AxisOrder.SAME, initialiser, out);
    this.stride = stride;
    this.padding = padding;
  }

  /** From {@code [n, h, w, in]} to {@code [n, h', w', out]}. */
  public Tensor forward(Tensor x) {
    return Ops.conv2d(x, weight.effective(), bias.effective(), stride, padding);
  }

  /** The same, added to a residual {@code [n, h', w', out]}. */
  public Tensor forward(Tensor x, Tensor residual) {
    return Ops.conv2d(x, weight.effective(), bias.effective(), residual, stride, padding);
  }

  /** The same, with {@code perImageBias [n, out]} added to every pixel of its image. */
  public Tensor forwardWithBias(Tensor x, Tensor perImageBias) {
    return Ops.conv2d(x, weight.effective(), bias.effective().add(perImageBias), stride, padding);
  }
}
