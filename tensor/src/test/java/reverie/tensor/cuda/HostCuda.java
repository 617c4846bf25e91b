// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import reverie.tensor.cuda.driver.HostBlas;
import reverie.tensor.cuda.driver.HostDnn;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;

/**
 * The CUDA backend without a device: everything of ours as it is, its kernels compiled for the
 * processor, and plain loops for cuBLAS and cuDNN. Slow, for tests.
 */
public final class HostCuda {
  /** Why a test is skipped that needs it. */
  public static final String REASON = "no C compiler when the tests were built";

  private static final long CAPACITY = 4L << 30;

  private HostCuda() {}

  /** Whether the kernels could be compiled. */
  public static boolean isAvailable() {
    return HostDriver.isAvailable();
  }

  /** A backend that ends with the process. */
  public static CudaBackend backend(Precision precision) {
    return backend(driver(), precision);
  }

  /** A device. */
  public static HostDriver driver() {
    return new HostDriver(CAPACITY);
  }

  /** A backend of this device. */
  public static CudaBackend backend(HostDriver driver, Precision precision) {
    return new CudaBackend(driver, new HostBlas(driver), new HostDnn(driver), precision);
  }
}
