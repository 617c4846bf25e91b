// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import reverie.tensor.Tensor;
import reverie.tensor.op.Pad;
import reverie.tensor.op.RandomNormal;

/** Elements that go elsewhere, and random ones: {@code moves.cu}. */
final class Moves {
  private final Kernels kernels;

  Moves(Kernels kernels) {
    this.kernels = kernels;
  }

  void transpose(long from, long to, int rows, int columns) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void narrow(long from, long to, long n) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void widen(long from, long to, long n) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void concat(int axis, Tensor[] inputs, Tensor y) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void pad(Pad pad, Tensor x, Tensor y) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void embedding(Tensor table, Tensor indices, Tensor y) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void scatterRows(Tensor dy, Tensor indices, Tensor y) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void randomNormal(RandomNormal normal, Tensor y) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void averagePool(int factor, Tensor x, Tensor y) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }

  void upsample(int factor, Tensor x, Tensor y) {
    throw new UnsupportedOperationException("not built yet: " + kernels);
  }
}
