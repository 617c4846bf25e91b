// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.c.NativeMatrices.Rows;
import reverie.tensor.cpu.kernel.FeedForwardKernels;
import reverie.tensor.cpu.kernel.GemmShape;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;

/**
 * Feed-forward networks and their gradients, some rows at a time: what is between the products
 * stays in the cache.
 */
final class NativeFeedForward implements FeedForwardKernels {
  /** Floats of a few rows that are in the cache. */
  private static final int CACHE_FLOATS = 1 << 16;

  private static final int MIN_ROWS = 64;
  private static final int MAX_ROWS = 512;

  private final NativeMatrices products;
  private final NativeElementwise elements;
  private final NativeGates gates;
  private final PartialSums partialSums;

  NativeFeedForward(
      NativeMatrices products,
      NativeElementwise elements,
      NativeGates gates,
      PartialSums partialSums) {
    this.products = products;
    this.elements = elements;
    this.gates = gates;
    this.partialSums = partialSums;
  }

  /** Rows of so many columns that stay in the cache. */
  private static int rowsInCache(long columns) {
    return Math.clamp(CACHE_FLOATS / (columns + 1) / MIN_ROWS * MIN_ROWS, MIN_ROWS, MAX_ROWS);
  }

  private static int steps(long rows, int atOnce) {
    return Math.toIntExact((rows + atOnce - 1) / atOnce);
  }

  @Override
  public void forward(Parallel parallel, FeedForward op, Tensor[] inputs, Tensor[] outputs) {
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
    if (products.byColumns(GemmShape.linear(rows, 2 * c, in), NativeMatrices.LINEAR)) {
      byColumns(parallel, inputs, y);
      return;
    }
    try (Scratch _ = Scratch.frame()) {
      Rows up = layer(parallel, rows, 2 * c, in, inputs[1]);
      Rows down = layer(parallel, rows, out, c, inputs[3]);
      int rowsPerStep = rowsInCache(2L * c);
      parallel.parallelFor(
          steps(rows, rowsPerStep),
          i -> {
            long first = (long) i * rowsPerStep;
            long some = Math.min(rowsPerStep, rows - first);
            try (Scratch scratch = Scratch.frame()) {
              long wide = scratch.floats(some * 2 * c);
              long gated = scratch.floats(some * c);
              up.compute(x + 4 * first * in, some, wide, upBias, 0);
              gates.geglu(wide, gated, some, c);
              long at = 4 * first * out;
              down.compute(gated, some, to + at, downBias, residual + at);
            }
          });
    }
  }

  /** Large weights are read once: first all that is gated, by columns, then the second product. */
  private void byColumns(Parallel parallel, Tensor[] inputs, Tensor y) {
    int rows = Math.toIntExact(inputs[0].shape().rows());
    int in = inputs[1].dim(1);
    int c = inputs[3].dim(1);
    GemmShape up = GemmShape.linear(rows, 2 * c, in);
    long x = address(inputs[0]);
    long weight = address(inputs[1]);
    long bias = address(inputs[2]);
    try (Scratch all = Scratch.frame()) {
      long gated = all.floats((long) rows * c);
      NativeMatrices.forEachBlock(
          parallel,
          rows,
          c,
          NativeMatrices.LARGE_COLUMNS / 2,
          (row, some, column, columns) -> {
            try (Scratch scratch = Scratch.frame()) {
              long wide = scratch.floats(2L * some * columns);
              long own = scratch.floats((long) some * columns);
              long from = x + 4L * row * in;
              long gate = wide + 4L * columns;
              long pitch = 2L * columns;
              products.columns(up, from, some, weight, column, columns, wide, pitch, bias, 0);
              products.columns(up, from, some, weight, c + column, columns, gate, pitch, bias, 0);
              gates.geglu(wide, own, some, columns);
              for (int i = 0; i < some; i++) {
                long at = gated + 4 * ((row + (long) i) * c + column);
                Memory.copy(own + 4L * i * columns, at, columns);
              }
            }
          });
      products.multiply(
          parallel,
          GemmShape.linear(rows, inputs[3].dim(0), c),
          NativeMatrices.LINEAR,
          gated,
          address(inputs[3]),
          address(y),
          address(inputs[4]),
          address(inputs[5]));
    }
  }

  /** Some rows of a part of sums. */
  private interface Part {
    void add(int part, boolean begins, long first, long rows);
  }

  private static void forEach(Parallel parallel, int rows, int rowsPerStep, Part body) {
    int parts = LinearWeightGradient.parts(rows);
    parallel.parallelFor(
        parts,
        part -> {
          long begin = (long) part * rows / parts;
          long end = (part + 1L) * rows / parts;
          for (long first = begin; first < end || first == begin; first += rowsPerStep) {
            body.add(part, first == begin, first, Math.min(rowsPerStep, end - first));
          }
        });
  }

  private LinearWeightGradient gradient(int rows, int out, int in, Tensor weight, Tensor bias) {
    return new LinearWeightGradient(
        products, elements, partialSums, rows, out, in, address(weight), address(bias));
  }

  /** A product with the transpose of a weight [out, in]. */
  private Rows layer(Parallel parallel, int rows, int out, int in, Tensor weight) {
    GemmShape shape = GemmShape.linear(rows, out, in);
    return products.rows(parallel, shape, NativeMatrices.LINEAR, address(weight));
  }

  /** A product with a weight as it lies, [out, in], of rows that follow one another. */
  private Rows times(Parallel parallel, int rows, int out, int in, Tensor weight) {
    GemmShape shape = new GemmShape(rows, in, out, out, 1, in, 1);
    return products.rows(parallel, shape, Precision.BF16X2, address(weight));
  }

  @Override
  public void backward(
      Parallel parallel, FeedForwardBackward op, Tensor[] inputs, Tensor[] outputs) {
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
      LinearWeightGradient up = gradient(rows, 2 * c, in, outputs[1], outputs[2]);
      LinearWeightGradient down = gradient(rows, out, c, outputs[3], outputs[4]);
      forEach(
          parallel,
          rows,
          rowsInCache(2L * c),
          (part, begins, first, some) -> {
            try (Scratch scratch = Scratch.frame()) {
              long wide = scratch.floats(some * 2 * c);
              long dgated = scratch.floats(some * c);
              long gated = scratch.floats(some * c);
              long dwide = scratch.floats(some * 2 * c);
              long at = 4 * first * in;
              long from = dy + 4 * first * out;
              toWide.compute(x + at, some, wide, upBias, 0);
              toGated.compute(from, some, dgated, 0, 0);
              gates.gegluBackward(wide, dgated, dwide, gated, some, c);
              toIn.compute(dwide, some, dx + at, 0, 0);
              up.add(part, begins, x + at, dwide, some);
              down.add(part, begins, gated, from, some);
            }
          });
      up.finish(parallel);
      down.finish(parallel);
    }
  }
}
