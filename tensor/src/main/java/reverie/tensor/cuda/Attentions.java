// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import reverie.tensor.Tensor;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;
import reverie.tensor.op.Op;

/** Attention without the matrix of scores: {@code attention.cu}. */
final class Attentions {
  private final Kernels kernels;

  Attentions(Kernels kernels) {
    this.kernels = kernels;
  }

  /** Whether there is a kernel for heads of this size. */
  static boolean fits(int heads, Tensor[] inputs) {
    return heads > 0 && inputs.length > 0;
  }

  long scratchBytes(Op op, Tensor[] inputs) {
    return 0;
  }

  void forward(Attention attention, Tensor[] inputs, Tensor[] outputs, Space scratch) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void backward(AttentionBackward attention, Tensor[] inputs, Tensor[] outputs, Space scratch) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }
}
