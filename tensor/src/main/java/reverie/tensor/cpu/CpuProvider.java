// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import reverie.tensor.spi.Backend;
import reverie.tensor.spi.BackendProvider;

/** Opens {@link CpuBackend}. */
public final class CpuProvider implements BackendProvider {
  @Override
  public String name() {
    return "cpu";
  }

  @Override
  public Backend open() {
    return new CpuBackend();
  }
}
