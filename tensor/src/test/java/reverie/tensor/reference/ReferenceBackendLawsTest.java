// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.reference;

import reverie.tensor.laws.BackendLaws;

/**
 * The oracle obeys the laws too: what they say of layouts, guards and updates is not about its
 * values.
 */
class ReferenceBackendLawsTest extends BackendLaws {
  ReferenceBackendLawsTest() {
    super(new ReferenceBackend());
  }
}
