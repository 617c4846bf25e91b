// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

/** A convolution of NHWC images with an HWIO kernel, or one of its gradients. */
public sealed interface Convolution extends Op
    permits Conv2d, Conv2dInputGradient, Conv2dWeightGradient {
  /** Pixels from one position of the kernel to the next, along both axes. */
  int stride();

  /** Pixels of zeros around the image. */
  int padding();
}
