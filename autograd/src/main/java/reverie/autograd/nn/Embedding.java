// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.nn;

import reverie.tensor.Ops;
import reverie.tensor.Tensor;

/** A learned vector per index. */
public final class Embedding {
  private final Parameter weight;

  /** Makes {@code weight [entries, size]}. */
  public Embedding(Parameters parameters, int entries, int size) {
    weight = parameters.create("weight", AxisOrder.SAME, Initialiser.normal(1), entries, size);
  }

  /** All vectors, {@code [entries, size]}. */
  public Tensor vectors() {
    return weight.effective();
  }

  /** From I32 {@code […]} to {@code […, size]}. */
  public Tensor forward(Tensor indices) {
    return Ops.embedding(weight.effective(), indices);
  }
}
