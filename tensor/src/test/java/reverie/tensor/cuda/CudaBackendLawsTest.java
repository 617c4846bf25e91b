// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.laws.BackendLaws;

/** The laws for the backend as it is, with kernels that were compiled for the processor. */
class CudaBackendLawsTest {
  @Nested
  @EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
  class Host extends BackendLaws {
    Host() {
      super(HostCuda.backend(Precision.FLOAT32));
    }
  }
}
