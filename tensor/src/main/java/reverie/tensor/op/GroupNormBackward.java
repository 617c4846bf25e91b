// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.op;

import java.util.List;
import java.util.stream.IntStream;
import reverie.tensor.Ops;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;

/**
 * {@code (x, gamma, beta, mean, rstd, dy) → (dx, dgamma, dbeta)} of {@link GroupNorm}.
 *
 * <pre>{@code
 * x̂ = (x − mean)·rstd    dz = dy·activation'(x̂·gamma + beta)    g = dz·gamma
 * dx = rstd·(g − mean(g) − x̂·mean(g·x̂))   means over the group
 * }</pre>
 */
public record GroupNormBackward(int groups, GroupNorm.Activation activation) implements Fused {
  /** Without activation. */
  public GroupNormBackward(int groups) {
    this(groups, GroupNorm.Activation.NONE);
  }

  @Override
  public List<TensorType> infer(List<TensorType> inputs) {
    Rule.count(this, inputs, 6, 6);
    Rule.floating(this, inputs);
    Rule.rankAtLeast(this, inputs, 0, 2);
    TensorType x = inputs.get(0);
    int c = x.shape().dim(-1);
    Rule.require(
        groups > 0 && c % groups == 0,
        this,
        "channels that divide into " + groups + " groups",
        inputs);
    Rule.shape(this, inputs, 1, "gamma", c);
    Rule.shape(this, inputs, 2, "beta", c);
    Rule.shape(this, inputs, 3, "mean", x.shape().dim(0), groups);
    Rule.shape(this, inputs, 4, "rstd", x.shape().dim(0), groups);
    Rule.sameType(this, inputs, 0, 5);
    return List.of(x, inputs.get(1), inputs.get(1));
  }

  @Override
  public Tensor[] decompose(Tensor... inputs) {
    Tensor x = inputs[0];
    int n = x.dim(0);
    int[] grouped = {n, GroupNorm.pixels(x), groups, x.dim(-1) / groups};
    Tensor rstd = inputs[4].reshape(n, 1, groups, 1);
    Tensor normalised = x.reshape(grouped).sub(inputs[3].reshape(n, 1, groups, 1)).mul(rstd);
    if (activation == GroupNorm.Activation.SILU) {
      Tensor z = normalised.reshape(x.shape().dims()).mul(inputs[1]).add(inputs[2]);
      Tensor dz = Ops.apply(new SiluBackward(), z, inputs[5]);
      return Ops.applyAll(
          new GroupNormBackward(groups), x, inputs[1], inputs[2], inputs[3], inputs[4], dz);
    }
    Tensor g = inputs[5].mul(inputs[1]).reshape(grouped);
    Tensor dx =
        g.sub(g.meanKeep(1, 3)).sub(normalised.mul(g.mul(normalised).meanKeep(1, 3))).mul(rstd);
    int[] allButLast = IntStream.range(0, x.shape().rank() - 1).toArray();
    Tensor dgamma = inputs[5].mul(normalised.reshape(x.shape().dims())).sum(allButLast);
    return new Tensor[] {dx.reshape(x.shape().dims()), dgamma, inputs[5].sum(allButLast)};
  }
}
