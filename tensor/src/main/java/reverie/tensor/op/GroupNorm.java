// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * Group normalisation (Wu and He 2018) of {@code x[n, …, c]} with {@code gamma[c]} and {@code
 * beta[c]}, and an activation of the result: outputs y, and {@code mean[n, groups]} and {@code
 * 1/√(variance+ε)[n, groups]} for the backward pass.
 */
public record GroupNorm(int groups, double epsilon, Activation activation) implements Fused {
  /** What is applied to the normalised numbers. */
  public enum Activation {
    /** Nothing. */
    NONE,
    /** {@code x·sigmoid(x)}. */
    SILU
  }

  /** Checks the attributes. */
  public GroupNorm {
    if (groups < 1 || !(epsilon > 0)) {
      throw new ReverieException(
          "group_norm: expected groups ≥ 1 and epsilon > 0, got " + groups + " and " + epsilon);
    }
  }

  /** Without activation. */
  public GroupNorm(int groups, double epsilon) {
    this(groups, epsilon, Activation.NONE);
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 3, 3);
    Rule.floating(this, inputs);
    Rule.rankAtLeast(this, inputs, 0, 2);
    TensorType x = inputs.get(0);
    int c = x.shape().dim(-1);
    Rule.require(c % groups == 0, this, "channels that divide into " + groups + " groups", inputs);
    Rule.shape(this, inputs, 1, "gamma", c);
    Rule.shape(this, inputs, 2, "beta", c);
    TensorType statistics = x.withShape(x.shape().dim(0), groups);
    return List.of(x, statistics, statistics);
  }

  /** True: statistics come first, then element by element. */
  @Override
  public boolean mayOverwrite() {
    return true;
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    if (activation == Activation.SILU) {
      Tensor[] plain = Ops.applyAll(new GroupNorm(groups, epsilon), inputs);
      return new Tensor[] {plain[0].silu(), plain[1], plain[2]};
    }
    Tensor x = inputs[0];
    int n = x.dim(0);
    Tensor grouped = x.reshape(n, pixels(x), groups, x.dim(-1) / groups);
    Tensor mean = grouped.meanKeep(1, 3);
    Tensor centred = grouped.sub(mean);
    Tensor rstd = centred.square().meanKeep(1, 3).add(epsilon).pow(-0.5);
    Tensor y = centred.mul(rstd).reshape(x.shape().dims()).mul(inputs[1]).add(inputs[2]);
    return new Tensor[] {y, mean.reshape(n, groups), rstd.reshape(n, groups)};
  }

  static int pixels(Tensor x) {
    int pixels = 1;
    for (int i = 1; i < x.shape().rank() - 1; i++) {
      pixels *= x.dim(i);
    }
    return pixels;
  }
}
