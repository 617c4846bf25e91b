// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.TensorType;

/**
 * Two-dimensional cross-correlation of {@code x[n, h, w, cin]} with {@code weight[kh, kw, cin,
 * cout]}, plus an optional {@code bias[cout]}; zeros all round, the same stride both ways.
 */
public record Conv2d(int stride, int padding) implements Op {
  /** Checks the attributes. */
  public Conv2d {
    if (stride < 1 || padding < 0) {
      throw new ReverieException(
          "conv2d: expected stride ≥ 1 and padding ≥ 0, got " + stride + " and " + padding);
    }
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 3);
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
    if (inputs.size() == 3) {
      Rule.shape(this, inputs, 2, "bias", k.dim(3));
    }
    return Rule.one(
        inputs
            .get(0)
            .withShape(
                x.dim(0),
                outputSize(x.dim(1), k.dim(0)),
                outputSize(x.dim(2), k.dim(1)),
                k.dim(3)));
  }

  /** Output pixels along a side. */
  public int outputSize(int side, int kernel) {
    return (side + 2 * padding - kernel) / stride + 1;
  }
}
