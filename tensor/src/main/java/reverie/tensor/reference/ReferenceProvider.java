// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.reference;

import reverie.tensor.spi.Backend;
import reverie.tensor.spi.BackendProvider;

/** Opens {@link ReferenceBackend}. */
public final class ReferenceProvider implements BackendProvider {
  @Override
  public String name() {
    return "reference";
  }

  @Override
  public Backend open() {
    return new ReferenceBackend();
  }
}
