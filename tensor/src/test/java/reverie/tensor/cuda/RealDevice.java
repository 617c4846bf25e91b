// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import java.util.function.Supplier;
import org.opentest4j.TestAbortedException;
import reverie.tensor.ReverieException;
import reverie.tensor.cuda.driver.Precision;

/**
 * The CUDA device of this machine, for tests. Where there is none they are skipped with the reason;
 * with {@code -Dreverie.cuda.required=true} they fail.
 */
public final class RealDevice {
  private RealDevice() {}

  /** The device, which is closed with the process. */
  public static CudaBackend open(Precision precision) {
    return orSkip(() -> Cuda.open(precision), Boolean.getBoolean("reverie.cuda.required"));
  }

  static CudaBackend orSkip(Supplier<CudaBackend> device, boolean required) {
    try {
      return device.get();
    } catch (ReverieException none) {
      if (required) {
        throw none;
      }
      throw new TestAbortedException(none.getMessage());
    }
  }
}
