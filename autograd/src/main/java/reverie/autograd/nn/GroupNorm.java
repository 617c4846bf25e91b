// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/** Group normalisation with a learned scale and shift per channel. */
public final class GroupNorm {
  private final Parameter weight;
  private final Parameter bias;
  private final int groups;
  private final double epsilon;

  /** Makes {@code weight [channels]} and {@code bias [channels]}. */
  public GroupNorm(Parameters parameters, int groups, int channels, double epsilon) {
    if (groups < 1 || channels % groups != 0) {
      throw new ReverieException(
          "group norm: expected a number of channels that divides into groups, got "
              + channels
              + " channels and "
              + groups
              + " groups");
    }
    weight = parameters.create("weight", AxisOrder.SAME, Initialiser.ones(), channels);
    bias = parameters.create("bias", AxisOrder.SAME, Initialiser.zeros(), channels);
    this.groups = groups;
    this.epsilon = epsilon;
  }

  /** Of {@code [n, …, channels]}. */
  public Tensor forward(Tensor x) {
    return Ops.groupNorm(x, weight.effective(), bias.effective(), groups, epsilon);
  }

  /** Of {@code [n, …, channels]}, then SiLU, in one step. */
  public Tensor forwardSilu(Tensor x) {
    return Ops.groupNormSilu(x, weight.effective(), bias.effective(), groups, epsilon);
  }
}
