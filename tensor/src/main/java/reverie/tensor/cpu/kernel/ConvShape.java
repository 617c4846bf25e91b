// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;

/** Sizes of a convolution y [n, oh, ow, cout] of x [n, h, w, cin] with [kh, kw, cin, cout]. */
public record ConvShape(
    int n,
    int h,
    int w,
    int cin,
    int kh,
    int kw,
    int oh,
    int ow,
    int cout,
    int stride,
    int padding) {

  public static ConvShape of(Conv2d op, Tensor[] inputs, Tensor y) {
    Tensor weight = inputs[1];
    return of(op.stride(), op.padding(), inputs[0], weight.dim(0), weight.dim(1), y);
  }

  public static ConvShape of(Conv2dInputGradient op, Tensor[] inputs, Tensor dx) {
    Tensor weight = inputs[1];
    return of(op.stride(), op.padding(), dx, weight.dim(0), weight.dim(1), inputs[0]);
  }

  public static ConvShape of(Conv2dWeightGradient op, Tensor[] inputs) {
    return of(op.stride(), op.padding(), inputs[0], op.kernelHeight(), op.kernelWidth(), inputs[1]);
  }

  private static ConvShape of(int stride, int padding, Tensor x, int kh, int kw, Tensor y) {
    return new ConvShape(
        x.dim(0), x.dim(1), x.dim(2), x.dim(3), kh, kw, y.dim(1), y.dim(2), y.dim(3), stride,
        padding);
  }

  /** Whether it is a matrix product of pixels. */
  public boolean pointwise() {
    return kh == 1 && kw == 1 && stride == 1 && padding == 0;
  }

  public int taps() {
    return kh * kw;
  }
}
