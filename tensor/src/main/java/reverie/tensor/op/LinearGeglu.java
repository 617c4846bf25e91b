// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * {@link Geglu} of {@link Linear}: {@code x[…, in], weight[2c, in], bias[2c]} to {@code […, c]},
 * without the numbers between in memory.
 */
public record LinearGeglu() implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 3, 3);
    TensorType y = Linear.product(this, inputs);
    int c = y.shape().dim(-1) / 2;
    Rule.require(y.shape().dim(-1) % 2 == 0, this, "a weight of 2c rows", inputs);
    return Rule.one(y.withShape(y.shape().with(-1, c)));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    return Ops.applyAll(new Geglu(), Ops.applyAll(new Linear(), inputs));
  }
}
