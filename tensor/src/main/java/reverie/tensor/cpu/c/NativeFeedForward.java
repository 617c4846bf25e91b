// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.c.NativeProducts.Form;
import reverie.tensor.cpu.c.NativeProducts.Rows;
import reverie.tensor.cpu.c.NativeTiles.Planes;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;

/**
 * Feed-forward networks and their gradients, some rows at a time: what is between the products
 * stays in the cache.
 */
public final class NativeFeedForward {
  /** Floats of a few rows that are in the cache. */
  private static final int NEAR = 1 << 16;

  private static final int LEAST_ROWS = 64;
  private static final int MOST_ROWS = 512;

  private final NativeProducts products;
  private final NativeElements elements;

  public NativeFeedForward(NativeProducts products, NativeElements elements) {
    this.products = products;
    this.elements = elements;
  }

  /** Rows of so many columns that stay in the cache. */
  private static int near(long columns) {
    return Math.clamp(NEAR / (columns + 1) / LEAST_ROWS * LEAST_ROWS, LEAST_ROWS, MOST_ROWS);
  }

  private static int count(long rows, int atOnce) {
    return Math.toIntExact((rows + atOnce - 1) / atOnce);
  }

  public void forward(Parallel parallel, Tensor[] inputs, Tensor[] outputs) {
    Tensor y = outputs[0];
    int rows = Math.toIntExact(inputs[0].shape().rows());
    int in = inputs[1].dim(1);
    int c = inputs[3].dim(1);
    int out = inputs[3].dim(0);
    long x = address(inputs[0]);
    long upBias = address(inputs[2]);
    long downBias = address(inputs[4]);
    long residual = address(inputs[5]);
    long to = address(y);
    try (Scratch _ = Scratch.frame()) {
      Rows up = layer(parallel, rows, 2 * c, in, inputs[1]);
      Rows down = layer(parallel, rows, out, c, inputs[3]);
      int together = near(2L * c);
      parallel.forEach(
          count(rows, together),
          i -> {
            long first = (long) i * together;
            long some = Math.min(together, rows - first);
            try (Scratch scratch = Scratch.frame()) {
              long wide = scratch.floats(some * 2 * c);
              long gated = scratch.floats(some * c);
              up.compute(x + 4 * first * in, some, wide, upBias, 0);
              elements.geglu(wide, gated, some, c);
              long at = 4 * first * out;
              down.compute(gated, some, to + at, downBias, residual + at);
            }
          });
    }
  }

  /** Some rows of a piece of sums. */
  private interface Piece {
    void add(int piece, boolean begins, long first, long rows);
  }

  private static void forEach(Parallel parallel, int rows, int together, Piece body) {
    int pieces = NativeWeightGradient.pieces(rows);
    parallel.forEach(
        pieces,
        piece -> {
          long begin = (long) piece * rows / pieces;
          long end = (piece + 1L) * rows / pieces;
          for (long first = begin; first < end || first == begin; first += together) {
            body.add(piece, first == begin, first, Math.min(together, end - first));
          }
        });
  }

  private NativeWeightGradient gradient(int rows, int out, int in, Tensor weight, Tensor bias) {
    return new NativeWeightGradient(
        products, elements, rows, out, in, address(weight), address(bias));
  }

  /** A product with the transpose of a weight [out, in]. */
  private Rows layer(Parallel parallel, int rows, int out, int in, Tensor weight) {
    Form form = NativeProducts.linear(rows, out, in);
    return products.rows(parallel, form, NativeProducts.LINEAR, address(weight));
  }

  /** A product with a weight as it lies, [out, in], of rows that follow one another. */
  private Rows times(Parallel parallel, int rows, int out, int in, Tensor weight) {
    Form form = new Form(rows, in, out, out, 1, in, 1);
    return products.rows(parallel, form, Planes.TWO, address(weight));
  }

  public void backward(Parallel parallel, Tensor[] inputs, Tensor[] outputs) {
    int rows = Math.toIntExact(inputs[0].shape().rows());
    int in = inputs[1].dim(1);
    int c = inputs[3].dim(1);
    int out = inputs[3].dim(0);
    long x = address(inputs[0]);
    long upBias = address(inputs[2]);
    long dy = address(inputs[4]);
    long dx = address(outputs[0]);
    try (Scratch _ = Scratch.frame()) {
      Rows toWide = layer(parallel, rows, 2 * c, in, inputs[1]);
      Rows toGated = times(parallel, rows, out, c, inputs[3]);
      Rows toIn = times(parallel, rows, 2 * c, in, inputs[1]);
      NativeWeightGradient up = gradient(rows, 2 * c, in, outputs[1], outputs[2]);
      NativeWeightGradient down = gradient(rows, out, c, outputs[3], outputs[4]);
      forEach(
          parallel,
          rows,
          near(2L * c),
          (piece, begins, first, some) -> {
            try (Scratch scratch = Scratch.frame()) {
              long wide = scratch.floats(some * 2 * c);
              long dgated = scratch.floats(some * c);
              long gated = scratch.floats(some * c);
              long dwide = scratch.floats(some * 2 * c);
              long at = 4 * first * in;
              long from = dy + 4 * first * out;
              toWide.compute(x + at, some, wide, upBias, 0);
              toGated.compute(from, some, dgated, 0, 0);
              elements.gegluBackward(wide, dgated, dwide, gated, some, c);
              toIn.compute(dwide, some, dx + at, 0, 0);
              up.add(piece, begins, x + at, dwide, some);
              down.add(piece, begins, gated, from, some);
            }
          });
      up.finish(parallel);
      down.finish(parallel);
    }
  }
}
