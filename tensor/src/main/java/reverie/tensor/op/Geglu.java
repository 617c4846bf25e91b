// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * {@code x[…, 2c] → a·gelu(b)} with a the first and b the second half of the last axis (Shazeer
 * 2020).
 */
public record Geglu() implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 1, 1);
    Rule.floating(this, inputs);
    Rule.rankAtLeast(this, inputs, 0, 1);
    TensorType x = inputs.getFirst();
    Rule.require(x.shape().dim(-1) % 2 == 0, this, "an even last dimension", inputs);
    return Rule.one(x.withShape(x.shape().with(-1, x.shape().dim(-1) / 2)));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor[] halves = inputs[0].split(-1, 2);
    return new Tensor[] {halves[0].mul(halves[1].gelu())};
  }
}
