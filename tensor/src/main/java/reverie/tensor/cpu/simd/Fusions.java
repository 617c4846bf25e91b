// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;

/** Turns tensors into calls of the normalisation and attention kernels. */
public final class Fusions {
  private Fusions() {}

  /** Rows of a tensor seen as a matrix with its last axis as columns. */
  public static int rows(Tensor x) {
    return x.size() == 0 ? 0 : Math.toIntExact(x.size() / x.dim(-1));
  }

  public static void attention(Parallel parallel, Attention op, Tensor[] in, Tensor[] out) {
    Attentions.forward(
        parallel,
        form(in, op.heads(), op.scale()),
        address(in[0]),
        address(in[1]),
        address(in[2]),
        address(out[0]),
        address(out[1]));
  }

  public static void attentionBackward(
      Parallel parallel, AttentionBackward op, Tensor[] in, Tensor[] out) {
    Attentions.backward(
        parallel,
        form(in, op.heads(), op.scale()),
        new Attentions.Gradient(
            address(in[0]),
            address(in[1]),
            address(in[2]),
            address(in[3]),
            address(in[4]),
            address(in[5]),
            address(out[0]),
            address(out[1]),
            address(out[2])));
  }

  private static Attentions.Form form(Tensor[] in, int heads, double scale) {
    return new Attentions.Form(
        in[0].dim(0),
        heads,
        in[0].dim(1),
        in[1].dim(1),
        in[0].dim(2) / heads,
        in[2].dim(2) / heads,
        (float) scale);
  }

  public static void groupNorm(Parallel parallel, GroupNorm op, Tensor[] in, Tensor[] out) {
    GroupNorms.forward(
        parallel,
        form(in[0], op.groups()),
        op.epsilon(),
        address(in[0]),
        address(in[1]),
        address(in[2]),
        address(out[0]),
        address(out[1]),
        address(out[2]));
  }

  public static void groupNormBackward(
      Parallel parallel, GroupNormBackward op, Tensor[] in, Tensor[] out) {
    GroupNorms.backward(
        parallel,
        form(in[0], op.groups()),
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

  public static GroupNorms.Form form(Tensor x, int groups) {
    int pixels = 1;
    for (int axis = 1; axis < x.shape().rank() - 1; axis++) {
      pixels *= x.dim(axis);
    }
    return new GroupNorms.Form(x.dim(0), pixels, x.dim(-1), groups);
  }

  public static void layerNorm(Parallel parallel, LayerNorm op, Tensor[] in, Tensor[] out) {
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

  public static void layerNormBackward(Parallel parallel, Tensor[] in, Tensor[] out) {
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
