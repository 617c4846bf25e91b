// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;

/** Convolutions of NHWC images with HWIO kernels, and both gradients. */
public interface ConvolutionKernels {
  void forward(Parallel parallel, Conv2d op, Tensor[] inputs, Tensor[] outputs);

  void inputGradient(Parallel parallel, Conv2dInputGradient op, Tensor[] inputs, Tensor[] outputs);

  void weightGradient(
      Parallel parallel, Conv2dWeightGradient op, Tensor[] inputs, Tensor[] outputs);
}
