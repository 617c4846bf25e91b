// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.lang.foreign.MemorySegment;
import java.util.List;
import reverie.tensor.Tensor;

/** Values of tensors as an array of bytes, which serializers write whole, unlike floats. */
final class Bytes {
  private Bytes() {}

  /** The values of tensors, one tensor after another. */
  static byte[] of(List<Tensor> tensors) {
    byte[] bytes = new byte[Math.toIntExact(tensors.stream().mapToLong(Bytes::size).sum())];
    long at = 0;
    for (Tensor tensor : tensors) {
      tensor.copyTo(MemorySegment.ofArray(bytes).asSlice(at, size(tensor)));
      at += size(tensor);
    }
    return bytes;
  }

  /** Gives tensors these values. */
  static void assign(List<Tensor> tensors, byte[] bytes) {
    long at = 0;
    for (Tensor tensor : tensors) {
      tensor.assign(MemorySegment.ofArray(bytes).asSlice(at, size(tensor)));
      at += size(tensor);
    }
  }

  static long size(Tensor tensor) {
    return tensor.size() * tensor.dtype().bytes();
  }
}
