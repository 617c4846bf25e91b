// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.reference;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import reverie.tensor.DType;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/**
 * A tensor's memory as numbers: whole numbers are read and written as doubles, which hold them
 * exactly.
 */
record Array(MemorySegment memory, DType dtype, Shape shape, int[] strides, long offset) {
  static Array of(Tensor t) {
    ReferenceBackend.HeapBuffer buffer = (ReferenceBackend.HeapBuffer) t.buffer();
    return new Array(buffer.segment(), t.dtype(), t.shape(), t.strides(), t.offset());
  }

  int dim(int axis) {
    return shape.dim(axis);
  }

  long size() {
    return shape.size();
  }

  /** Element {@code i} of a contiguous array. */
  double get(long i) {
    return dtype == DType.I32
        ? memory.getAtIndex(ValueLayout.JAVA_INT, offset + i)
        : memory.getAtIndex(ValueLayout.JAVA_DOUBLE, offset + i);
  }

  void set(long i, double value) {
    if (dtype == DType.I32) {
      memory.setAtIndex(ValueLayout.JAVA_INT, offset + i, (int) value);
    } else {
      memory.setAtIndex(ValueLayout.JAVA_DOUBLE, offset + i, value);
    }
  }

  /**
   * Where this array holds the element that element {@code i} (row-major) of the shape {@code
   * broadcast} reads: axes are aligned at the last one, those of size 1 stay at 0.
   */
  long position(Shape broadcast, long i) {
    long position = 0;
    for (int axis = 1; axis <= broadcast.rank(); axis++) {
      int size = broadcast.dim(-axis);
      long coordinate = i % size;
      i /= size;
      if (axis <= shape.rank() && shape.dim(-axis) != 1) {
        position += coordinate * strides[strides.length - axis];
      }
    }
    return position;
  }
}
