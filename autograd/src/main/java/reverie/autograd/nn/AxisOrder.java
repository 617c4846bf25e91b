// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import reverie.tensor.Shape;
import reverie.tensor.Tensor;

/** How a parameter's axes are ordered in files, whose order is that of PyTorch. */
public enum AxisOrder {
  /** The same inside and in files. */
  SAME,
  /**
   * A convolution's weight: {@code [kh, kw, in, out]} inside, {@code [out, in, kh, kw]} in files.
   */
  CONV;

  /** A view of an inside tensor with the axes of files. */
  public Tensor toFile(Tensor inside) {
    return this == SAME ? inside : inside.permute(3, 2, 0, 1);
  }

  /** A view of a file's tensor with the axes used inside. */
  public Tensor fromFile(Tensor file) {
    return this == SAME ? file : file.permute(2, 3, 1, 0);
  }

  /** The shape in files of a parameter with this shape inside. */
  public Shape fileShape(Shape inside) {
    return this == SAME
        ? inside
        : Shape.of(inside.dim(3), inside.dim(2), inside.dim(0), inside.dim(1));
  }
}
