// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.GroupShape;
import reverie.tensor.cpu.kernel.NormKernels;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.LayerNormBackward;

/** {@link GroupNorms} and {@link LayerNorms} of tensors. */
final class SimdNorms implements NormKernels {
  @Override
  public boolean fuses(GroupNorm.Activation activation) {
    return switch (activation) {
      case NONE -> true;
      case SILU -> false;
    };
  }

  @Override
  public void groupNorm(Parallel parallel, GroupNorm op, Tensor[] in, Tensor[] out) {
    GroupNorms.forward(
        parallel,
        GroupShape.of(in[0], op.groups()),
        op.epsilon(),
        address(in[0]),
        address(in[1]),
        address(in[2]),
        address(out[0]),
        address(out[1]),
        address(out[2]));
  }

  @Override
  public void groupNormBackward(
      Parallel parallel, GroupNormBackward op, Tensor[] in, Tensor[] out) {
    GroupNorms.backward(
        parallel,
        GroupShape.of(in[0], op.groups()),
        new GroupNorms.Gradient(
            address(in[0]),
            address(in[1]),
            address(in[3]),
            address(in[4]),
            address(in[5]),
            address(out[0]),
            address(out[1]),
            address(out[2])));
  }

  @Override
  public void layerNorm(Parallel parallel, LayerNorm op, Tensor[] in, Tensor[] out) {
    LayerNorms.forward(
        parallel,
        op.epsilon(),
        Math.toIntExact(out[1].size()),
        in[0].dim(-1),
        address(in[0]),
        address(in[1]),
        address(in[2]),
        address(out[0]),
        address(out[1]),
        address(out[2]));
  }

  @Override
  public void layerNormBackward(
      Parallel parallel, LayerNormBackward op, Tensor[] in, Tensor[] out) {
    LayerNorms.backward(
        parallel,
        Math.toIntExact(in[2].size()),
        in[0].dim(-1),
        new LayerNorms.Gradient(
            address(in[0]),
            address(in[1]),
            address(in[2]),
            address(in[3]),
            address(in[4]),
            address(out[0]),
            address(out[1]),
            address(out[2])));
  }
}
