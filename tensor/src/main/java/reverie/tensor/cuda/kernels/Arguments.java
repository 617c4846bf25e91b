// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.cuda.driver.Pool;
import reverie.tensor.cuda.driver.Precision;

/**
 * The one parameter of a kernel, laid out field by field as C lays out a struct. Pointers say how
 * much of what they point to is read or written, each byte counted once, for {@link Driver.Work}.
 */
final class Arguments {
  /** Bytes. */
  static final int MAX_BYTES = 2048;

  private final MemorySegment bytes = MemorySegment.ofArray(new long[MAX_BYTES / 8]);
  private long size;
  private long read;
  private long written;
  private double flops;
  private Precision unit = Precision.FLOAT32;

  /** A pointer to a tensor that is read; null for none. */
  Arguments read(Tensor tensor) {
    return tensor == null ? pointer(0) : read(Pool.address(tensor), bytes(tensor));
  }

  /** A pointer to so many bytes that are read; 0 for none. */
  Arguments read(long address, long bytes) {
    read += address == 0 ? 0 : bytes;
    return pointer(address);
  }

  /** A pointer to a tensor that is written; null for none. */
  Arguments write(Tensor tensor) {
    return tensor == null ? pointer(0) : write(Pool.address(tensor), bytes(tensor));
  }

  /** A pointer to so many bytes that are written; 0 for none. */
  Arguments write(long address, long bytes) {
    written += address == 0 ? 0 : bytes;
    return pointer(address);
  }

  /** So many numbers that are read, and their type. */
  Arguments read(Numbers numbers, long count) {
    return read(numbers.address(), count * numbers.bytes()).int64(numbers.half() ? 1 : 0);
  }

  /** So many results. */
  Arguments write(Result result, long count) {
    return write(result.wide(), 4 * count).write(result.half(), 2 * count);
  }

  /** A pointer to a tensor that is read and then written. */
  Arguments update(Tensor tensor) {
    read += bytes(tensor);
    return write(tensor);
  }

  /** Bytes behind pointers in a table. */
  Arguments moves(long bytesRead, long bytesWritten) {
    read += bytesRead;
    written += bytesWritten;
    return this;
  }

  /** A pointer that this kernel does not follow. */
  Arguments pointer(long address) {
    return int64(address);
  }

  /** Elements that repeat are read once. */
  private static long bytes(Tensor tensor) {
    long elements = 1;
    for (int axis = 0; axis < tensor.shape().rank(); axis++) {
      elements *= tensor.stride(axis) == 0 ? Math.min(1, tensor.dim(axis)) : tensor.dim(axis);
    }
    return elements * tensor.dtype().bytes();
  }

  /** Floating-point operations of the matrix products within, and the unit that does them. */
  Arguments products(double operations, Precision by) {
    flops = operations;
    unit = by;
    return this;
  }

  /** What the kernel does with these arguments. */
  Driver.Work work() {
    return new Driver.Work(read, written, flops, unit);
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
