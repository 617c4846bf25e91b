// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import reverie.tensor.ReverieException;
import reverie.tensor.cpu.kernel.AttentionKernels;
import reverie.tensor.cpu.kernel.ConvolutionKernels;
import reverie.tensor.cpu.kernel.Elementwise;
import reverie.tensor.cpu.kernel.FeedForwardKernels;
import reverie.tensor.cpu.kernel.GateKernels;
import reverie.tensor.cpu.kernel.KernelLibrary;
import reverie.tensor.cpu.kernel.MatrixKernels;
import reverie.tensor.cpu.kernel.NormKernels;
import reverie.tensor.cpu.kernel.OptimizerKernels;
import reverie.tensor.cpu.kernel.ReductionKernels;
import reverie.tensor.op.Op;

/** Kernels in C, compiled for one set of instructions. */
public final class NativeKernels implements KernelLibrary {
  private final AttentionKernels attention;
  private final ConvolutionKernels convolution;
  private final Elementwise elementwise;
  private final FeedForwardKernels feedForward;
  private final GateKernels gates;
  private final MatrixKernels matrices;
  private final NormKernels norms;
  private final OptimizerKernels optimizers;
  private final ReductionKernels reductions;

  /**
   * Takes its functions from a library.
   *
   * @param exact whether to prefer accuracy to speed where kernels can choose
   */
  NativeKernels(NativeLibrary library, boolean exact) {
    Kernels kernels = new Kernels(library);
    PartialSums partialSums = new PartialSums(kernels);
    NativeMatrices products = new NativeMatrices(kernels, partialSums, exact);
    NativeElementwise elements = new NativeElementwise(kernels);
    NativeGates gated = new NativeGates(kernels);
    attention = new NativeAttention(kernels);
    convolution = new NativeConvolution(kernels, products, partialSums, exact);
    elementwise = elements;
    feedForward = new NativeFeedForward(products, elements, gated, partialSums);
    gates = gated;
    matrices = products;
    norms = new NativeNorms(kernels);
    optimizers = new NativeOptimizers(kernels);
    reductions = new NativeReductions(kernels);
  }

  /**
   * The kernels for a set of instructions, or null if they were not built or this processor lacks
   * the instructions. The system property {@code reverie.exact=true} asks for kernels that prefer
   * accuracy to speed.
   *
   * @throws ReverieException if the library is damaged or cannot be loaded
   */
  public static NativeKernels load(String set) {
    NativeLibrary library = NativeLibrary.isPacked(set) ? NativeLibrary.load(set) : null;
    return library == null ? null : new NativeKernels(library, Boolean.getBoolean("reverie.exact"));
  }

  /** Whether {@link #load} gives kernels. */
  public static boolean isAvailable(String set) {
    return NativeLibrary.isPacked(set) && NativeLibrary.load(set) != null;
  }

  @Override
  public boolean supports(Op op) {
    return true;
  }

  @Override
  public AttentionKernels attention() {
    return attention;
  }

  @Override
  public ConvolutionKernels convolution() {
    return convolution;
  }

  @Override
  public Elementwise elementwise() {
    return elementwise;
  }

  @Override
  public FeedForwardKernels feedForward() {
    return feedForward;
  }

  @Override
  public GateKernels gates() {
    return gates;
  }

  @Override
  public MatrixKernels matrices() {
    return matrices;
  }

  @Override
  public NormKernels norms() {
    return norms;
  }

  @Override
  public OptimizerKernels optimizers() {
    return optimizers;
  }

  @Override
  public ReductionKernels reductions() {
    return reductions;
  }
}
