// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.ConvolutionKernels;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;

/**
 * Convolutions by the fastest algorithm that fits: the definition on the tile unit, Winograd's, or
 * an implicit matrix product.
 */
final class NativeConvolution implements ConvolutionKernels {
  /** Null without a tile unit, or where exactness is preferred. */
  private final TileConvolution tiles;

  private final WinogradConvolution winograd;
  private final ConvolutionKernels implicitGemm;

  NativeConvolution(
      Kernels kernels, NativeMatrices matrices, PartialSums partialSums, boolean exact) {
    tiles =
        kernels.tileUnit == null || exact
            ? null
            : new TileConvolution(kernels.tileUnit, partialSums);
    winograd = new WinogradConvolution(kernels, partialSums, exact);
    implicitGemm = new ImplicitGemmConvolution(kernels, matrices, partialSums);
  }

  @Override
  public void forward(Parallel parallel, Conv2d op, Tensor[] inputs, Tensor[] outputs) {
    boolean done =
        tiles != null && tiles.forward(parallel, op, inputs, outputs[0])
            || winograd.forward(parallel, op, inputs, outputs[0]);
    if (!done) {
      implicitGemm.forward(parallel, op, inputs, outputs);
    }
  }

  @Override
  public void inputGradient(
      Parallel parallel, Conv2dInputGradient op, Tensor[] inputs, Tensor[] outputs) {
    boolean done =
        tiles != null && tiles.inputGradient(parallel, op, inputs, outputs[0])
            || winograd.inputGradient(parallel, op, inputs, outputs[0]);
    if (!done) {
      implicitGemm.inputGradient(parallel, op, inputs, outputs);
    }
  }

  @Override
  public void weightGradient(
      Parallel parallel, Conv2dWeightGradient op, Tensor[] inputs, Tensor[] outputs) {
    boolean done =
        tiles != null && tiles.weightGradient(parallel, op, inputs, outputs[0])
            || winograd.weightGradient(parallel, op, inputs, outputs[0]);
    if (!done) {
      implicitGemm.weightGradient(parallel, op, inputs, outputs);
    }
  }
}
