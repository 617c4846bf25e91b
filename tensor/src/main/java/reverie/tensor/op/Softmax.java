// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/** Softmax over the last axis. */
public record Softmax() implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.floating(this, inputs);
    Rule.rankAtLeast(this, inputs, 0, 1);
    return Rule.one(inputs.getFirst());
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor e = inputs[0].sub(inputs[0].maxKeep(-1)).exp();
    return new Tensor[] {e.div(e.sumKeep(-1))};
  }
}
