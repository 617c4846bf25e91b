// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import reverie.tensor.Tensor;

/** The one parameter of a kernel, laid out field by field as C lays out a struct. */
final class Arguments {
  /** Bytes. */
  static final int MOST = 1024;

  private final MemorySegment bytes = MemorySegment.ofArray(new long[MOST / 8]);
  private long size;

  /** A pointer to the first element of a tensor; null for none. */
  Arguments tensor(Tensor tensor) {
    return address(tensor == null ? 0 : CudaBackend.address(tensor));
  }

  /** A pointer. */
  Arguments address(long address) {
    return int64(address);
  }

  /** A {@code long}. */
  Arguments int64(long value) {
    bytes.set(ValueLayout.JAVA_LONG, field(8), value);
    return this;
  }

  /** An {@code int}. */
  Arguments int32(int value) {
    bytes.set(ValueLayout.JAVA_INT, field(4), value);
    return this;
  }

  /** An array of so many {@code int}; the last ones are 0 if there are fewer values. */
  Arguments int32s(int length, int... values) {
    for (int i = 0; i < length; i++) {
      int32(i < values.length ? values[i] : 0);
    }
    return this;
  }

  /** A {@code float}. */
  Arguments float32(double value) {
    bytes.set(ValueLayout.JAVA_FLOAT, field(4), (float) value);
    return this;
  }

  private long field(int width) {
    long at = (size + width - 1) / width * width;
    size = at + width;
    return at;
  }

  /** All fields. */
  MemorySegment packed() {
    long padded = (size + 7) / 8 * 8;
    return bytes.asSlice(0, padded);
  }
}
