// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.LayerNormBackward;

/** Group and layer normalisation and their gradients. */
public interface NormKernels {
  /**
   * Whether group norms are followed by this activation; it is an operation of its own otherwise.
   */
  boolean fuses(GroupNorm.Activation activation);

  void groupNorm(Parallel parallel, GroupNorm op, Tensor[] inputs, Tensor[] outputs);

  void groupNormBackward(
      Parallel parallel, GroupNormBackward op, Tensor[] inputs, Tensor[] outputs);

  void layerNorm(Parallel parallel, LayerNorm op, Tensor[] inputs, Tensor[] outputs);

  void layerNormBackward(
      Parallel parallel, LayerNormBackward op, Tensor[] inputs, Tensor[] outputs);
}
