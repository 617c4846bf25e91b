// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import reverie.tensor.Tensor;

/**
 * Operands at addresses that are multiples of 16, which cuBLAS and cuDNN need for their fast
 * kernels: with others they take slower ones, whose bits differ. Operands elsewhere go through
 * working memory. Buffers are aligned, so an operand is if its offset is.
 */
final class Staging {
  private static final int ALIGNMENT = 16;

  private final Elements elements;

  Staging(Elements elements) {
    this.elements = elements;
  }

  static boolean isAligned(Tensor tensor) {
    return tensor.offset() * tensor.dtype().bytes() % ALIGNMENT == 0;
  }

  /** Working memory for contiguous operands. */
  static long scratchBytes(Tensor... operands) {
    long bytes = 0;
    for (Tensor x : operands) {
      bytes += isAligned(x) ? 0 : Space.aligned(4 * x.size());
    }
    return bytes;
  }

  /** The address of a contiguous operand, or of a copy. */
  long read(Tensor x, Space scratch) {
    if (isAligned(x)) {
      return address(x);
    }
    long copy = scratch.take(4 * x.size());
    elements.copy(address(x), copy, x.size());
    return copy;
  }

  /** Where a result is to be written; {@link #finish} puts it where it belongs. */
  long write(Tensor y, Space scratch) {
    return isAligned(y) ? address(y) : scratch.take(4 * y.size());
  }

  void finish(Tensor y, long written) {
    if (written != address(y)) {
      elements.copy(written, address(y), y.size());
    }
  }
}
