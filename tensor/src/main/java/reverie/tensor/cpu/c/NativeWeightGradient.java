// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import reverie.tensor.cpu.c.NativeProducts.Form;
import reverie.tensor.cpu.c.NativeProducts.Sums;
import reverie.tensor.cpu.c.NativeTiles.Planes;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;

/**
 * The gradients of a linear layer's weight [out, in], dyᵀ·x, and of its bias, sums over rows that
 * come a few at a time while they are in the cache. Pieces of the rows, which may be summed by
 * several threads, have sums of their own.
 */
public final class NativeWeightGradient {
  /** Rows that are worth a piece. */
  private static final int PIECE = 1024;

  private static final int MOST_PIECES = 16;

  private final NativeProducts products;
  private final NativeElements elements;
  private final int pieces;
  private final int out;
  private final int in;

  /** Of both orders of the factors the one that cuts the wider one's rows, not its columns. */
  private final boolean turned;

  private final Sums sums;
  private final long weight;
  private final long bias;
  private final long weights;
  private final long biases;

  /** Sums to be written to these addresses, in working memory of the caller till then. */
  public NativeWeightGradient(
      NativeProducts products,
      NativeElements elements,
      int rows,
      int out,
      int in,
      long weight,
      long bias) {
    this.products = products;
    this.elements = elements;
    this.out = out;
    this.in = in;
    this.weight = weight;
    this.bias = bias;
    pieces = pieces(rows);
    turned = out > in;
    sums =
        products.sums(
            turned
                ? new Form(in, out, rows, 1, in, out, 1)
                : new Form(out, in, rows, 1, out, in, 1),
            Planes.TWO);
    Scratch scratch = Scratch.current();
    weights = turned || pieces > 1 ? scratch.floats(size() * pieces) : weight;
    biases = pieces > 1 ? scratch.floats((long) out * pieces) : bias;
  }

  public static int pieces(int rows) {
    return Math.clamp(rows / PIECE, 1, MOST_PIECES);
  }

  private long size() {
    return (long) out * in;
  }

  /**
   * Adds some rows.
   *
   * @param begins whether they are a piece's first
   */
  public void add(int piece, boolean begins, long x, long dy, long rows) {
    long dweight = weights + 4 * piece * size();
    long dbias = biases + 4L * piece * out;
    sums.add(turned ? x : dy, turned ? dy : x, rows, dweight, begins ? 0 : dweight);
    elements.sumRows(dy, rows, out, dbias, begins ? 0 : dbias);
  }

  /** Adds up the pieces. */
  public void finish(Parallel parallel) {
    if (pieces > 1) {
      products.sum(parallel, weights, pieces, size(), turned ? weights : weight);
      products.sum(parallel, biases, pieces, out, bias);
    }
    if (turned) {
      products.turn(parallel, weights, in, out, weight);
    }
  }
}
