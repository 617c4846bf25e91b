// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;

/**
 * How a tensor's elements lie in memory: element {@code (i₀, i₁, …)} is at {@code offset + Σ
 * iₖ·strideₖ}, counted in elements.
 */
public final class Layout {
  private final Shape shape;
  private final int[] strides;
  private final long offset;

  /**
   * A layout.
   *
   * @param strides one for each axis, 0 where the axis is broadcast
   * @param offset of the first element
   */
  public Layout(Shape shape, int[] strides, long offset) {
    this.shape = shape;
    this.strides = strides.clone();
    this.offset = offset;
  }

  /** Row-major order without gaps, from the beginning. */
  public static Layout contiguous(Shape shape) {
    return new Layout(shape, shape.contiguousStrides(), 0);
  }

  /** The dimensions. */
  public Shape shape() {
    return shape;
  }

  /** Distance between neighbours along an axis; a negative axis counts from the end. */
  public int stride(int axis) {
    return strides[shape.axis(axis)];
  }

  /** A copy of all strides. */
  public int[] strides() {
    return strides.clone();
  }

  /** Position of the first element. */
  public long offset() {
    return offset;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Layout layout
        && offset == layout.offset
        && shape.equals(layout.shape)
        && Arrays.equals(strides, layout.strides);
  }

  @Override
  public int hashCode() {
    return Objects.hash(shape, offset, Arrays.hashCode(strides));
  }

  /** Position of the last element, of those that there are. */
  public long last() {
    long last = offset;
    for (int i = 0; i < strides.length; i++) {
      last += (shape.dim(i) - 1L) * strides[i];
    }
    return last;
  }

  /** Whether elements lie in row-major order without gaps. */
  public boolean isContiguous() {
    long expected = 1;
    for (int i = strides.length - 1; i >= 0; i--) {
      int dim = shape.dim(i);
      if (dim != 1 && strides[i] != expected) {
        return shape.size() == 0;
      }
      expected *= dim;
    }
    return true;
  }

  /**
   * The same elements in the same order in another shape of the same size; empty if no strides say
   * that, so that they must be copied.
   */
  public Optional<Layout> reshape(Shape target) {
    if (isContiguous()) {
      return Optional.of(new Layout(target, target.contiguousStrides(), offset));
    }
    int[] out = new int[target.rank()];
    int from = 0;
    int to = 0;
    while (from < shape.rank() && to < target.rank()) {
      int fromEnd = from + 1;
      int toEnd = to + 1;
      long a = shape.dim(from);
      long b = target.dim(to);
      while (a != b) {
        if (a < b) {
          if (fromEnd == shape.rank()) {
            return Optional.empty();
          }
          a *= shape.dim(fromEnd++);
        } else {
          if (toEnd == target.rank()) {
            return Optional.empty();
          }
          b *= target.dim(toEnd++);
        }
      }
      for (int i = from; i < fromEnd - 1; i++) {
        if (strides[i] != strides[i + 1] * shape.dim(i + 1)) {
          return Optional.empty();
        }
      }
      int stride = strides[fromEnd - 1];
      for (int i = toEnd - 1; i >= to; i--) {
        out[i] = stride;
        stride *= target.dim(i);
      }
      from = fromEnd;
      to = toEnd;
    }
    for (int i = from; i < shape.rank(); i++) {
      if (shape.dim(i) != 1) {
        return Optional.empty();
      }
    }
    for (int i = to; i < target.rank(); i++) {
      out[i] = 1;
    }
    return Optional.of(new Layout(target, out, offset));
  }
}
