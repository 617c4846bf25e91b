// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Ops;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * {@code (x[…, in], up[2c, in], upBias[2c], down[out, c], dy[…, out]) → (dx, dup, dupBias, ddown,
 * ddownBias)} of {@link FeedForward}. What that has between its products is computed again, which
 * takes less time than to write it to memory and read it back. The gradient of its residual is dy
 * itself.
 */
public record FeedForwardBackward() implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 5, 5);
    TensorType wide = Linear.product(this, inputs.subList(0, 3));
    int wideColumns = wide.shape().dim(-1);
    Rule.require(wideColumns % 2 == 0, this, "an up (input 1) of 2c rows", inputs);
    Rule.rank(this, inputs, 3, 2);
    int out = inputs.get(3).shape().dim(0);
    Rule.shape(this, inputs, 3, "down", out, wideColumns / 2);
    Rule.shape(this, inputs, 4, "dy", wide.shape().with(-1, out).dims());
    TensorType up = inputs.get(1);
    return List.of(
        inputs.get(0),
        up,
        up.withShape(Shape.of(wideColumns)),
        inputs.get(3),
        up.withShape(Shape.of(out)));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor dy = inputs[4].rows();
    Tensor wide = Ops.linear(inputs[0].rows(), inputs[1], inputs[2]);
    Tensor dwide = Ops.apply(new GegluBackward(), wide, product(dy, inputs[3]));
    Tensor[] up = Ops.applyAll(new LinearGradients(), inputs[0].rows(), dwide);
    Tensor[] down = Ops.applyAll(new LinearGradients(), Ops.geglu(wide), dy);
    Tensor dx = product(dwide, inputs[1]).reshape(inputs[0].shape().dims());
    return new Tensor[] {dx, up[0], up[1], down[0], down[1]};
  }

  private static Tensor product(Tensor a, Tensor b) {
    return Ops.apply(new MatMul(true), a, b);
  }
}
