// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import reverie.tensor.laws.BackendLaws;

class CpuBackendLawsTest extends BackendLaws {
  CpuBackendLawsTest() {
    super(new CpuBackend(1), new CpuBackend(2));
  }
}
