// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.condition.EnabledIf;
import org.opentest4j.TestAbortedException;
import reverie.tensor.ReverieException;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.laws.BackendLaws;

/** The laws with kernels that were compiled for the processor, and on a device. */
class CudaBackendLawsTest {
  @Nested
  @EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
  class Host extends BackendLaws {
    Host() {
      super(HostCuda.backend(Precision.FLOAT32));
    }
  }

  /** The laws on a device, where there is one. */
  @Nested
  class OnADevice extends BackendLaws {
    OnADevice() {
      super(device());
    }

    private static CudaBackend device() {
      try {
        return Cuda.open(Precision.FLOAT32);
      } catch (ReverieException none) {
        throw new TestAbortedException(none.getMessage());
      }
    }
  }
}
