// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * The immutable dimensions of a tensor, outermost first. Rank 0 is a scalar; a dimension may be 0.
 */
public final class Shape {
  private final int[] dims;

  private Shape(int[] dims) {
    this.dims = dims;
  }

  /**
   * A shape of these dimensions.
   *
   * @throws ReverieException if a dimension is negative
   */
  public static Shape of(int... dims) {
    for (int d : dims) {
      if (d < 0) {
        throw new ReverieException(
            "shape: expected dimensions of at least 0, got " + Arrays.toString(dims));
      }
    }
    return new Shape(dims.clone());
  }

  /** Number of dimensions. */
  public int rank() {
    return dims.length;
  }

  /** The size of one dimension; a negative axis counts from the end. */
  public int dim(int axis) {
    return dims[axis(axis)];
  }

  /** The axis as an index from the front; a negative axis counts from the end. */
  public int axis(int axis) {
    int a = axis < 0 ? axis + dims.length : axis;
    if (a < 0 || a >= dims.length) {
      throw new ReverieException("shape: expected an axis of " + this + ", got " + axis);
    }
    return a;
  }

  /** Number of elements. */
  public long size() {
    long size = 1;
    for (int d : dims) {
      size *= d;
    }
    return size;
  }

  /** How many rows the last axis has: the product of all other dimensions. */
  public long rows() {
    return with(-1, 1).size();
  }

  /** A copy of the dimensions. */
  public int[] dims() {
    return dims.clone();
  }

  /** This shape with one dimension replaced. */
  public Shape with(int axis, int dim) {
    int[] copy = dims.clone();
    copy[axis(axis)] = dim;
    return of(copy);
  }

  /** The strides, in elements, of a contiguous tensor of this shape. */
  public int[] contiguousStrides() {
    int[] strides = new int[dims.length];
    long stride = 1;
    for (int i = dims.length - 1; i >= 0; i--) {
      strides[i] = Math.toIntExact(stride);
      stride *= Math.max(1, dims[i]);
    }
    return strides;
  }

  /**
   * The shape both broadcast to: aligned at the last dimension, equal or 1 (as in NumPy).
   *
   * @throws ReverieException if they do not broadcast; {@code operation} names who asked
   */
  public static Shape broadcast(String operation, Shape a, Shape b) {
    if (a.equals(b)) {
      return a;
    }
    int rank = Math.max(a.rank(), b.rank());
    int[] out = new int[rank];
    for (int i = 1; i <= rank; i++) {
      int x = i <= a.rank() ? a.dims[a.rank() - i] : 1;
      int y = i <= b.rank() ? b.dims[b.rank() - i] : 1;
      if (x != y && x != 1 && y != 1) {
        throw new ReverieException(
            operation + ": expected shapes that broadcast, got " + a + " and " + b,
            "dimensions are aligned at the last one and must be equal or 1");
      }
      out[rank - i] = x == 1 ? y : x;
    }
    return new Shape(out);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Shape s && Arrays.equals(dims, s.dims);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(dims);
  }

  /** For instance {@code [2, 16, 16, 3]}. */
  @Override
  public String toString() {
    return Arrays.stream(dims)
        .mapToObj(Integer::toString)
        .collect(Collectors.joining(", ", "[", "]"));
  }
}
