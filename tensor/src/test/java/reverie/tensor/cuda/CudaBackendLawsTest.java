// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.function.Supplier;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.opentest4j.TestAbortedException;
import reverie.tensor.ReverieException;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.laws.BackendLaws;

/** The laws with kernels that were compiled for the processor, and on a device. */
class CudaBackendLawsTest {
  /** Of factors with 11 bits. */
  private static final double TF32 = 0x1p-11;

  /** Of factors with 8 bits. */
  private static final double BF16 = 0x1p-8;

  @Nested
  @EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
  class Host extends BackendLaws {
    Host() {
      super(HostCuda.backend(Precision.FLOAT32));
    }
  }

  @Nested
  @EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
  class HostInTf32 extends BackendLaws {
    HostInTf32() {
      super(TF32, HostCuda.backend(Precision.TF32));
    }
  }

  @Nested
  @EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
  class HostInBf16 extends BackendLaws {
    HostInBf16() {
      super(BF16, HostCuda.backend(Precision.BF16));
    }
  }

  /** The laws on a device, where there is one. */
  @Nested
  class OnADevice extends BackendLaws {
    OnADevice() {
      super(RealDevice.open(Precision.FLOAT32));
    }
  }

  @Nested
  class OnADeviceInTf32 extends BackendLaws {
    OnADeviceInTf32() {
      super(TF32, RealDevice.open(Precision.TF32));
    }
  }

  @Nested
  class OnADeviceInBf16 extends BackendLaws {
    OnADeviceInBf16() {
      super(BF16, RealDevice.open(Precision.BF16));
    }
  }

  @Test
  void aMissingDeviceSkipsTestsUnlessItIsRequired() {
    Supplier<CudaBackend> none =
        () -> {
          throw new ReverieException("cuda device: there is none");
        };
    assertThrows(TestAbortedException.class, () -> RealDevice.orSkip(none, false));
    assertThrows(ReverieException.class, () -> RealDevice.orSkip(none, true));
  }
}
