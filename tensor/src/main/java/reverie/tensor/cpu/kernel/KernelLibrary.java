// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.op.Op;

/**
 * Kernels for everything that computes, by families: in C, or with Java's Vector API. What only
 * moves data, or draws it, is written once, for both.
 *
 * <p>A family's methods cut the work into blocks by the sizes of the data alone and hand these to
 * the threads. They read sizes and addresses outside the blocks, but never data: calls may be
 * recorded and carried out later.
 */
public interface KernelLibrary {
  /** Whether there is a kernel for this operation; it is decomposed otherwise. */
  boolean supports(Op op);

  AttentionKernels attention();

  ConvolutionKernels convolution();

  Elementwise elementwise();

  FeedForwardKernels feedForward();

  GateKernels gates();

  MatrixKernels matrices();

  NormKernels norms();

  OptimizerKernels optimizers();

  ReductionKernels reductions();
}
