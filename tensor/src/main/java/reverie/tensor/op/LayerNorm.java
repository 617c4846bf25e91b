// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * Layer normalisation (Ba et al. 2016) of {@code x[…, c]} over the last axis with {@code gamma[c]}
 * and {@code beta[c]}: outputs y, and {@code mean[…]} and {@code 1/√(variance+ε)[…]} for the
 * backward pass.
 */
public record LayerNorm(double epsilon) implements Fused {
  /** Checks the attribute. */
  public LayerNorm {
    if (!(epsilon > 0)) {
      throw new ReverieException("layer_norm: expected epsilon > 0, got " + epsilon);
    }
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 3, 3);
    Rule.floating(this, inputs);
    Rule.rankAtLeast(this, inputs, 0, 1);
    TensorType x = inputs.get(0);
    int c = x.shape().dim(-1);
    Rule.shape(this, inputs, 1, "gamma", c);
    Rule.shape(this, inputs, 2, "beta", c);
    TensorType statistics = x.withShape(rows(x));
    return List.of(x, statistics, statistics);
  }

  static int[] rows(TensorType x) {
    return java.util.Arrays.copyOf(x.shape().dims(), x.shape().rank() - 1);
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor x = inputs[0];
    Tensor mean = x.meanKeep(-1);
    Tensor centred = x.sub(mean);
    Tensor rstd = centred.square().meanKeep(-1).add(epsilon).pow(-0.5);
    int[] rows = rows(x.type());
    return new Tensor[] {
      centred.mul(rstd).mul(inputs[1]).add(inputs[2]), mean.reshape(rows), rstd.reshape(rows)
    };
  }
}
