// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import jcuda.driver.CUdeviceptr;

/** A number as JCuda's pointer: an address on the device, or of native memory on the host. */
final class Address extends CUdeviceptr {
  /** To be filled in by JCuda. */
  Address() {}

  Address(long value) {
    super(new CUdeviceptr(), value);
  }

  long value() {
    return getNativePointer() + getByteOffset();
  }
}
