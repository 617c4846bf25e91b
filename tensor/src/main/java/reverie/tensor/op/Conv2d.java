// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/**
 * Two-dimensional cross-correlation of {@code x[n, h, w, cin]} with {@code weight[kh, kw, cin,
 * cout]}; zeros all round, the same stride both ways. A third input is added to every pixel, {@code
 * bias[cout]} or, of one's own for every image, {@code bias[n, cout]}; a fourth, {@code residual[n,
 * oh, ow, cout]}, to the result.
 */
public record Conv2d(int stride, int padding) implements Convolution {
  /** Checks the attributes. */
  public Conv2d {
    if (stride < 1 || padding < 0) {
      throw new ReverieException(
          "conv2d: expected stride ≥ 1 and padding ≥ 0, got " + stride + " and " + padding);
    }
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 4);
    Rule.floating(this, inputs);
    Rule.rank(this, inputs, 0, 4);
    Rule.rank(this, inputs, 1, 4);
    Shape x = inputs.get(0).shape();
    Shape k = inputs.get(1).shape();
    Rule.require(
        x.dim(3) == k.dim(2),
        this,
        "x[n, h, w, cin] and weight[kh, kw, cin, cout] with the same cin",
        inputs);
    Rule.require(
        x.dim(1) + 2 * padding >= k.dim(0)
            && x.dim(2) + 2 * padding >= k.dim(1)
            && k.dim(0) > 0
            && k.dim(1) > 0,
        this,
        "a kernel no larger than the padded image",
        inputs);
    Shape y =
        Shape.of(
            x.dim(0), outputSize(x.dim(1), k.dim(0)), outputSize(x.dim(2), k.dim(1)), k.dim(3));
    if (inputs.size() > 2) {
      boolean oneForAll = inputs.get(2).shape().rank() == 1;
      int[] bias = oneForAll ? new int[] {y.dim(3)} : new int[] {y.dim(0), y.dim(3)};
      Rule.shape(this, inputs, 2, "bias", bias);
    }
    if (inputs.size() > 3) {
      Rule.shape(this, inputs, 3, "residual", y.dims());
    }
    return Rule.one(inputs.getFirst().withShape(y));
  }

  /** Output pixels along a side. */
  public int outputSize(int side, int kernel) {
    return (side + 2 * padding - kernel) / stride + 1;
  }
}
