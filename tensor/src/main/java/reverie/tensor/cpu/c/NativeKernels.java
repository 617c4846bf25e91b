// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import java.util.Optional;
import reverie.tensor.ReverieException;
import reverie.tensor.cpu.kernel.KernelLibrary;

/** Kernels in C, compiled for one set of instructions. */
public final class NativeKernels {
  private NativeKernels() {}

  /**
   * Takes functions from a library.
   *
   * @param exact whether to prefer accuracy to speed where kernels can choose
   */
  static KernelLibrary of(NativeLibrary library, boolean exact) {
    Kernels kernels = new Kernels(library);
    PartialSums partialSums = new PartialSums(kernels);
    NativeMatrices matrices = new NativeMatrices(kernels, partialSums, exact);
    NativeElementwise elementwise = new NativeElementwise(kernels);
    NativeGates gates = new NativeGates(kernels);
    return new KernelLibrary(
        new NativeAttention(kernels),
        new NativeConvolution(kernels, matrices, partialSums, exact),
        elementwise,
        Optional.of(new NativeFeedForward(matrices, elementwise, gates, partialSums)),
        gates,
        matrices,
        new NativeNorms(kernels),
        new NativeOptimizers(kernels),
        new NativeReductions(kernels));
  }

  /**
   * The kernels for a set of instructions; empty if they were not built or this processor lacks the
   * instructions. The system property {@code reverie.exact=true} asks for kernels that prefer
   * accuracy to speed.
   *
   * @throws ReverieException if the library is damaged or cannot be loaded
   */
  public static Optional<KernelLibrary> load(String set) {
    NativeLibrary library = NativeLibrary.isPacked(set) ? NativeLibrary.load(set) : null;
    return Optional.ofNullable(library).map(l -> of(l, Boolean.getBoolean("reverie.exact")));
  }

  /** Whether {@link #load} gives kernels. */
  public static boolean isAvailable(String set) {
    return NativeLibrary.isPacked(set) && NativeLibrary.load(set) != null;
  }
}
