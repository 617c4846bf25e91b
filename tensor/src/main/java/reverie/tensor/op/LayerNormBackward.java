// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import java.util.stream.IntStream;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * {@code (x, gamma, mean, rstd, dy) → (dx, dgamma, dbeta)} of {@link LayerNorm}; see {@link
 * GroupNormBackward}.
 */
public record LayerNormBackward() implements Fused {
  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 5, 5);
    Rule.floating(this, inputs);
    Rule.rankAtLeast(this, inputs, 0, 1);
    TensorType x = inputs.get(0);
    Rule.shape(this, inputs, 1, "gamma", x.shape().dim(-1));
    Rule.shape(this, inputs, 2, "mean", LayerNorm.rows(x));
    Rule.shape(this, inputs, 3, "rstd", LayerNorm.rows(x));
    Rule.sameType(this, inputs, 0, 4);
    return List.of(x, inputs.get(1), inputs.get(1));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor x = inputs[0];
    int[] rows = x.shape().with(-1, 1).dims();
    Tensor rstd = inputs[3].reshape(rows);
    Tensor normalised = x.sub(inputs[2].reshape(rows)).mul(rstd);
    Tensor g = inputs[4].mul(inputs[1]);
    Tensor dx = g.sub(g.meanKeep(-1)).sub(normalised.mul(g.mul(normalised).meanKeep(-1))).mul(rstd);
    int[] allButLast = IntStream.range(0, x.shape().rank() - 1).toArray();
    if (allButLast.length == 0) {
      return new Tensor[] {dx, inputs[4].mul(normalised), inputs[4]};
    }
    return new Tensor[] {dx, inputs[4].mul(normalised).sum(allButLast), inputs[4].sum(allButLast)};
  }
}
