// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import reverie.tensor.Tensor;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.Op;

/** Normalisation over groups and layers: {@code norms.cu}. */
final class Norms {
  private final Kernels kernels;

  Norms(Kernels kernels) {
    this.kernels = kernels;
  }

  long scratchBytes(Op op, Tensor[] inputs) {
    return 0;
  }

  void groupNorm(GroupNorm norm, Tensor[] inputs, Tensor[] outputs, Space scratch) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void groupNormBackward(GroupNormBackward norm, Tensor[] inputs, Tensor[] outputs, Space scratch) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void layerNorm(LayerNorm norm, Tensor[] inputs, Tensor[] outputs) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void layerNormBackward(Tensor[] inputs, Tensor[] outputs, Space scratch) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }
}
