// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import java.util.Optional;

/**
 * Kernels for everything that computes, by families: in C, or with Java's Vector API. What only
 * moves data, or draws it, is written once, for both.
 *
 * <p>A family's methods cut the work into blocks by the sizes of the data alone and hand these to
 * the threads. They read sizes and addresses outside the blocks, but never data: calls may be
 * recorded and carried out later.
 *
 * @param feedForward empty if feed-forward networks are left to their parts
 */
public record KernelLibrary(
    AttentionKernels attention,
    ConvolutionKernels convolution,
    Elementwise elementwise,
    Optional<FeedForwardKernels> feedForward,
    GateKernels gates,
    MatrixKernels matrices,
    NormKernels norms,
    OptimizerKernels optimizers,
    ReductionKernels reductions) {}
