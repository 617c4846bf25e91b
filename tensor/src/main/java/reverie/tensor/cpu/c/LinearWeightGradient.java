// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import reverie.tensor.cpu.c.NativeMatrices.Sums;
import reverie.tensor.cpu.kernel.GemmShape;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;

/**
 * The gradients of a linear layer's weight [out, in], dyᵀ·x, and of its bias, sums over rows that
 * come a few at a time while they are in the cache. Parts of the rows, which may be summed by
 * several threads, have sums of their own.
 */
final class LinearWeightGradient {
  /** Rows that are worth a part of their own. */
  private static final int ROWS_PER_PART = 1024;

  private static final int MAX_PARTS = 16;

  private final NativeMatrices products;
  private final NativeElementwise elements;
  private final PartialSums partialSums;
  private final int parts;
  private final int out;
  private final int in;

  /** Of both orders of the factors the one that cuts the wider one's rows, not its columns. */
  private final boolean swapped;

  private final Sums sums;
  private final long weight;
  private final long bias;
  private final long weights;
  private final long biases;

  /** Sums to be written to these addresses, in working memory of the caller till then. */
  LinearWeightGradient(
      NativeMatrices products,
      NativeElementwise elements,
      PartialSums partialSums,
      int rows,
      int out,
      int in,
      long weight,
      long bias) {
    this.products = products;
    this.elements = elements;
    this.partialSums = partialSums;
    this.out = out;
    this.in = in;
    this.weight = weight;
    this.bias = bias;
    parts = parts(rows);
    swapped = out > in;
    sums =
        products.sums(
            swapped
                ? new GemmShape(in, out, rows, 1, in, out, 1)
                : new GemmShape(out, in, rows, 1, out, in, 1),
            Precision.BF16X2);
    Scratch scratch = Scratch.current();
    weights = swapped || parts > 1 ? scratch.floats(size() * parts) : weight;
    biases = parts > 1 ? scratch.floats((long) out * parts) : bias;
  }

  static int parts(int rows) {
    return Math.clamp(rows / ROWS_PER_PART, 1, MAX_PARTS);
  }

  private long size() {
    return (long) out * in;
  }

  /**
   * Adds some rows.
   *
   * @param begins whether they are a part's first
   */
  void add(int part, boolean begins, long x, long dy, long rows) {
    long dweight = weights + 4 * part * size();
    long dbias = biases + 4L * part * out;
    sums.add(swapped ? x : dy, swapped ? dy : x, rows, dweight, begins ? 0 : dweight);
    elements.sumRows(dy, rows, out, dbias, begins ? 0 : dbias);
  }

  /** Adds up the parts. */
  void finish(Parallel parallel) {
    if (parts > 1) {
      partialSums.add(parallel, weights, parts, size(), swapped ? weights : weight);
      partialSums.add(parallel, biases, parts, out, bias);
    }
    if (swapped) {
      partialSums.transpose(parallel, weights, in, out, weight);
    }
  }
}
