// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import java.util.Optional;
import reverie.tensor.ReverieException;
import reverie.tensor.cpu.kernel.Elementwise;
import reverie.tensor.cpu.kernel.KernelLibrary;

/** Kernels in Java's Vector API, for any processor. */
public final class SimdKernels {
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
  public static KernelLibrary load() {
    if (!isAvailable()) {
      throw new ReverieException(
          "cpu device: expected the module jdk.incubator.vector, because there are no kernels in C"
              + " for this processor",
          "start Java with --add-modules jdk.incubator.vector, or install gcc or clang and make and"
              + " build again");
    }
    Elementwise elementwise = new SimdElementwise();
    return new KernelLibrary(
        new SimdAttention(),
        new SimdConvolution(elementwise),
        elementwise,
        Optional.empty(),
        new SimdGates(),
        new SimdMatrices(elementwise),
        new SimdNorms(),
        new SimdOptimizers(),
        new SimdReductions());
  }
}
