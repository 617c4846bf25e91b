// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

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
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.Op;

/** Kernels in Java's Vector API, for any processor. */
public final class SimdKernels implements KernelLibrary {
  private final Elementwise elementwise = new SimdElementwise();
  private final AttentionKernels attention = new SimdAttention();
  private final ConvolutionKernels convolution = new SimdConvolution(elementwise);
  private final GateKernels gates = new SimdGates();
  private final MatrixKernels matrices = new SimdMatrices(elementwise);
  private final NormKernels norms = new SimdNorms();
  private final OptimizerKernels optimizers = new SimdOptimizers();
  private final ReductionKernels reductions = new SimdReductions();

  private SimdKernels() {}

  /** Whether this virtual machine was started with the incubating module of the Vector API. */
  public static boolean isAvailable() {
    return ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
  }

  /**
   * The kernels.
   *
   * @throws ReverieException if they are not {@linkplain #isAvailable available}
   */
  public static SimdKernels load() {
    if (!isAvailable()) {
      throw new ReverieException(
          "cpu device: expected the module jdk.incubator.vector, because there are no kernels in C"
              + " for this processor",
          "start Java with --add-modules jdk.incubator.vector, or install gcc or clang and make and"
              + " build again");
    }
    return new SimdKernels();
  }

  /** A feed-forward network and an activation behind a norm are left to their parts. */
  @Override
  public boolean supports(Op op) {
    return switch (op) {
      case FeedForward _, FeedForwardBackward _ -> false;
      case GroupNorm norm -> norm.activation() == GroupNorm.Activation.NONE;
      case GroupNormBackward norm -> norm.activation() == GroupNorm.Activation.NONE;
      default -> true;
    };
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
    throw new IllegalStateException("feed-forward networks are decomposed");
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
