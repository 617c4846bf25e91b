// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.laws.BackendLaws;

/** The laws for the backend as it is, with kernels that were compiled for the processor. */
class CudaBackendLawsTest {
  static boolean hostKernels() {
    return HostDriver.isAvailable();
  }

  static CudaBackend onTheHost(Precision precision) {
    HostDriver driver = new HostDriver(4L << 30);
    return new CudaBackend(driver, new HostBlas(driver), new HostDnn(driver), precision);
  }

  @Nested
  @EnabledIf(
      value = "reverie.tensor.cuda.CudaBackendLawsTest#hostKernels",
      disabledReason = "no C compiler when the tests were built")
  class Host extends BackendLaws {
    Host() {
      super(onTheHost(Precision.FLOAT32));
    }
  }
}
