// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import reverie.tensor.Tensor;
import reverie.tensor.op.Op;
import reverie.tensor.op.Reduce;

/** Sums and largest elements, and what is made of rows: {@code reductions.cu}. */
final class Reductions {
  private final Kernels kernels;

  Reductions(Kernels kernels) {
    this.kernels = kernels;
  }

  long scratchBytes(Op op, Tensor[] inputs) {
    return 0;
  }

  void reduce(Reduce reduce, Tensor x, Tensor y, Space scratch) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void softmax(Tensor x, Tensor y) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void softmaxBackward(Tensor y, Tensor dy, Tensor dx) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void gaussianLogProb(Tensor[] inputs, Tensor y, Space scratch) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }
}
