// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/** {@code (x[…, 2c], dy[…, c]) → dx[…, 2c]} of {@link Geglu}. */
public record GegluBackward() implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 2, 2);
    Rule.floating(this, inputs);
    Rule.rankAtLeast(this, inputs, 0, 1);
    TensorType x = inputs.getFirst();
    Rule.require(
        x.shape().with(-1, x.shape().dim(-1) / 2).equals(inputs.get(1).shape()),
        this,
        "x[…, 2c] and dy[…, c]",
        inputs);
    return Rule.one(x);
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor[] halves = inputs[0].split(-1, 2);
    Tensor da = inputs[1].mul(halves[1].gelu());
    Tensor db = Ops.apply(new GeluBackward(), halves[1], inputs[1].mul(halves[0]));
    return new Tensor[] {Ops.concat(-1, da, db)};
  }
}
