// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import reverie.tensor.Tensor;

/** {@code x·weightᵀ + bias} over the last axis. */
public final class Linear {
  final Parameter weight;

  /** Null for none. */
  final Parameter bias;

  /** Makes {@code weight [out, in]} and, if wanted, {@code bias [out]}. */
  public Linear(Parameters parameters, int in, int out, boolean hasBias) {
    weight = parameters.create("weight", AxisOrder.SAME, Initialiser.fanIn(in), out, in);
    bias = hasBias ? parameters.create("bias", AxisOrder.SAME, Initialiser.fanIn(in), out) : null;
  }

  /** From {@code […, in]} to {@code […, out]}. */
  public Tensor forward(Tensor x) {
    return forward(x, null);
  }

  /** {@link #forward(Tensor)}, added to a residual {@code […, out]}. */
  public Tensor forward(Tensor x, Tensor residual) {
    return weight.linear(x, bias == null ? null : bias.effective(), residual);
  }
}
