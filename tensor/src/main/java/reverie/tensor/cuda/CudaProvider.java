// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import reverie.tensor.spi.Backend;
import reverie.tensor.spi.BackendProvider;

/** Opens {@link CudaBackend}. */
public final class CudaProvider implements BackendProvider {
  @Override
  public String name() {
    return "cuda";
  }

  @Override
  public Backend open() {
    return Cuda.open();
  }
}
