// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import reverie.tensor.DType;
import reverie.tensor.Tensor;

/**
 * Operands as cuBLAS and cuDNN want them: at addresses that are multiples of 16, since with others
 * they take slower kernels, whose bits differ, and where asked for as bfloat16. Other operands go
 * through working memory. Buffers are aligned, so an operand is if its offset is.
 */
final class Staging {
  private static final int ALIGNMENT = 16;

  private final Elements elements;
  private final Moves moves;
  private final PreparedWeights weights;

  Staging(Elements elements, Moves moves, PreparedWeights weights) {
    this.elements = elements;
    this.moves = moves;
    this.weights = weights;
  }

  /** Whether a tensor is kept as bfloat16, which is aligned wherever {@link Narrowing} has it. */
  static boolean isHalf(Tensor x) {
    return x.dtype() == DType.BF16;
  }

  /**
   * The address of an operand as bfloat16, its elements in the order in which they lie in memory.
   *
   * @param x without gaps
   */
  long halves(Tensor x, Space scratch) {
    if (isHalf(x)) {
      return address(x);
    }
    long known = weights.find(true, x);
    if (known != 0) {
      return known;
    }
    long copy = scratch.take(2 * x.size());
    moves.narrow(address(x), copy, x.size());
    return copy;
  }

  /** Working memory for it, or for a result of bfloat16. */
  static long halvesBytes(Tensor x) {
    return isHalf(x) ? 0 : Space.aligned(2 * x.size());
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
