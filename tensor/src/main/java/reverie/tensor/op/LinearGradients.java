// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Ops;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * {@code (x[n, in], dy[n, out]) → (dweight[out, in], dbias[out])} of {@link Linear}: dyᵀ·x and the
 * sums of dy's columns. Factors of 16 bits are exact enough.
 */
public record LinearGradients() implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 2);
    Rule.floating(this, inputs);
    Rule.rank(this, inputs, 0, 2);
    TensorType x = inputs.get(0);
    TensorType dy = inputs.get(1);
    Rule.rank(this, inputs, 1, 2);
    Rule.require(
        x.shape().dim(0) == dy.shape().dim(0),
        this,
        "[n, in] and [n, out] with the same n",
        inputs);
    int out = dy.shape().dim(1);
    return List.of(x.withShape(Shape.of(out, x.shape().dim(1))), x.withShape(Shape.of(out)));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor dy = inputs[1];
    return new Tensor[] {Ops.apply(new MatMul(true), dy.transpose(), inputs[0]), dy.sum(0)};
  }
}
