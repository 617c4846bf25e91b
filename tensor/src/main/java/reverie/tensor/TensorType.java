// SPDX-License-Identifier: Apache-2.0
package reverie.tensor;

/** Element type and shape: what an operation's rule sees of a tensor. */
public record TensorType(DType dtype, Shape shape) {
  /** The same element type with other dimensions. */
  public TensorType withShape(int... dims) {
    return new TensorType(dtype, Shape.of(dims));
  }

  /** The same element type with another shape. */
  public TensorType withShape(Shape other) {
    return new TensorType(dtype, other);
  }

  /** Size of a contiguous tensor of this type. */
  public long bytes() {
    return shape.size() * dtype.bytes();
  }

  /** For instance {@code F32[2, 3]}. */
  @Override
  public String toString() {
    return dtype.toString() + shape;
  }
}
