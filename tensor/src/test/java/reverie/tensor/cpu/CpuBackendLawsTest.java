// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.laws.BackendLaws;

/** The same laws for every set of kernels. */
class CpuBackendLawsTest {
  private static final String REASON = "no compiler when it was built, or no such instructions";

  static boolean amx() {
    return KernelSet.AMX.isAvailable();
  }

  static boolean avx512() {
    return KernelSet.AVX512.isAvailable();
  }

  static boolean avx2() {
    return KernelSet.AVX2.isAvailable();
  }

  @Nested
  @EnabledIf(value = "reverie.tensor.cpu.CpuBackendLawsTest#amx", disabledReason = REASON)
  class Amx extends BackendLaws {
    Amx() {
      super(new CpuBackend(1, KernelSet.AMX), new CpuBackend(2, KernelSet.AMX));
    }
  }

  @Nested
  @EnabledIf(value = "reverie.tensor.cpu.CpuBackendLawsTest#avx512", disabledReason = REASON)
  class Avx512 extends BackendLaws {
    Avx512() {
      super(new CpuBackend(1, KernelSet.AVX512), new CpuBackend(2, KernelSet.AVX512));
    }
  }

  @Nested
  @EnabledIf(value = "reverie.tensor.cpu.CpuBackendLawsTest#avx2", disabledReason = REASON)
  class Avx2 extends BackendLaws {
    Avx2() {
      super(new CpuBackend(1, KernelSet.AVX2), new CpuBackend(2, KernelSet.AVX2));
    }
  }

  @Nested
  class VectorApi extends BackendLaws {
    VectorApi() {
      super(new CpuBackend(1, KernelSet.VECTOR), new CpuBackend(2, KernelSet.VECTOR));
    }
  }
}
