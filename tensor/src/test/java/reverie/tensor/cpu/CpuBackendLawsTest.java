// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.cpu.c.NativeKernels;
import reverie.tensor.laws.BackendLaws;

/**
 * The same laws for every set of kernels. A set for instructions that this processor lacks runs
 * with these emulated ({@code native/cpu/test/emulation.h}): amx, which has all kernels of avx512,
 * so that the laws do not take twice as long.
 */
class CpuBackendLawsTest {
  private static final String REASON = "no compiler when it was built, or no such instructions";
  private static final String NEEDLESS = "the processor has the instructions, or no compiler";

  static boolean amx() {
    return KernelSet.AMX.isAvailable();
  }

  static boolean avx512() {
    return KernelSet.AVX512.isAvailable();
  }

  static boolean avx2() {
    return KernelSet.AVX2.isAvailable();
  }

  static boolean amxEmulated() {
    return !amx() && NativeKernels.isAvailable("amx-emulated");
  }

  private static CpuBackend[] backends(KernelSet set) {
    System.out.println("laws of kernels: " + set.label());
    return new CpuBackend[] {new CpuBackend(1, set), new CpuBackend(2, set)};
  }

  private static CpuBackend[] emulated(KernelSet set) {
    String library = set.label() + "-emulated";
    System.out.println("laws of kernels: " + set.label() + ", with emulated instructions");
    return new CpuBackend[] {
      new CpuBackend(1, library, NativeKernels.load(library)),
      new CpuBackend(2, library, NativeKernels.load(library))
    };
  }

  @Nested
  @EnabledIf(value = "reverie.tensor.cpu.CpuBackendLawsTest#amx", disabledReason = REASON)
  class Amx extends BackendLaws {
    Amx() {
      super(backends(KernelSet.AMX));
    }
  }

  @Nested
  @EnabledIf(value = "reverie.tensor.cpu.CpuBackendLawsTest#amxEmulated", disabledReason = NEEDLESS)
  class AmxEmulated extends BackendLaws {
    AmxEmulated() {
      super(emulated(KernelSet.AMX));
    }
  }

  @Nested
  @EnabledIf(value = "reverie.tensor.cpu.CpuBackendLawsTest#avx512", disabledReason = REASON)
  class Avx512 extends BackendLaws {
    Avx512() {
      super(backends(KernelSet.AVX512));
    }
  }

  @Nested
  @EnabledIf(value = "reverie.tensor.cpu.CpuBackendLawsTest#avx2", disabledReason = REASON)
  class Avx2 extends BackendLaws {
    Avx2() {
      super(backends(KernelSet.AVX2));
    }
  }

  @Nested
  class VectorApi extends BackendLaws {
    VectorApi() {
      super(backends(KernelSet.VECTOR));
    }

    @TestFactory
    Stream<DynamicTest> givesTheSameBitsWhenCompiled() {
      return sameBitsWhenCompiled();
    }
  }
}
