// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/** Normalisation over the last axis with a learned scale and shift. */
public final class LayerNorm {
  private final Parameter weight;
  private final Parameter bias;
  private final double epsilon;

  /** Makes {@code weight [size]} and {@code bias [size]}. */
  public LayerNorm(Parameters parameters, int size, double epsilon) {
    weight = parameters.create("weight", AxisOrder.SAME, Initialiser.ones(), size);
    bias = parameters.create("bias", AxisOrder.SAME, Initialiser.zeros(), size);
    this.epsilon = epsilon;
  }

  /** Of {@code […, size]}. */
  public Tensor forward(Tensor x) {
    return Ops.layerNorm(x, weight.effective(), bias.effective(), epsilon);
  }
}
