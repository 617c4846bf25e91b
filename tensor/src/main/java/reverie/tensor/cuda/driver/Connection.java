// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

/**
 * A device and the libraries that work on its stream.
 *
 * @param driver closed last
 */
public record Connection(Driver driver, Blas blas, Dnn dnn) {
  /**
   * Connects to a device by JCuda. NVIDIA's libraries are loaded already.
   *
   * @param ordinal its number, from 0
   * @param attends whether cuDNN computes attention, where it can
   * @throws reverie.tensor.ReverieException with the reason and what to do if there is none
   */
  public static Connection open(int ordinal, boolean attends) {
    JcudaNatives.load();
    JcudaDriver driver = new JcudaDriver(ordinal);
    Blas blas = null;
    try {
      blas = new CublasBlas(driver);
      return new Connection(driver, blas, new CudnnDnn(driver, attends));
    } catch (RuntimeException e) {
      if (blas != null) {
        blas.close();
      }
      driver.close();
      throw e;
    }
  }

  /** What to do where there are no kernels. */
  public static final String KERNELS_HINT = Packed.HINT;

  /** Whether our kernels are on the class path or the module path. */
  public static boolean hasKernels() {
    return JcudaDriver.hasKernels();
  }
}
