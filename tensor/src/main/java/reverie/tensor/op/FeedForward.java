// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * A transformer's feed-forward network, {@code residual + geglu(x·upᵀ + upBias)·downᵀ + downBias}:
 * {@code (x[…, in], up[2c, in], upBias[2c], down[out, c], downBias[out], residual[…, out]) → […,
 * out]} (Shazeer 2020). One operation, because what is between is four to eight times as wide as
 * what goes in and comes out, and need not leave the cache.
 */
public record FeedForward() implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 6, 6);
    TensorType wide = Linear.product(this, inputs.subList(0, 3));
    Rule.require(wide.shape().dim(-1) % 2 == 0, this, "an up (input 1) of 2c rows", inputs);
    Rule.rank(this, inputs, 3, 2);
    int out = inputs.get(3).shape().dim(0);
    Rule.shape(this, inputs, 3, "down", out, wide.shape().dim(-1) / 2);
    Rule.shape(this, inputs, 4, "down's bias", out);
    TensorType y = wide.withShape(wide.shape().with(-1, out));
    Rule.shape(this, inputs, 5, "residual", y.shape().dims());
    return List.of(y);
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor wide = Ops.linear(inputs[0], inputs[1], inputs[2]);
    return new Tensor[] {Ops.linear(Ops.geglu(wide), inputs[3], inputs[4], inputs[5])};
  }
}
