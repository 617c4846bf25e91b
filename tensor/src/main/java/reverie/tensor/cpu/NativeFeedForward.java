// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import static reverie.tensor.cpu.CpuBackend.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.NativeProducts.Form;
import reverie.tensor.cpu.NativeProducts.Rows;
import reverie.tensor.cpu.NativeProducts.Sums;
import reverie.tensor.cpu.NativeTiles.Planes;

/**
 * Feed-forward networks and their gradients, some rows at a time: what is between the products
 * stays in the cache.
 */
final class NativeFeedForward {
  /** Floats of the widest matrix that is between. */
  private static final int NEAR = 1 << 16;

  private static final int LEAST_ROWS = 64;
  private static final int MOST_ROWS = 512;

  /** Rows that are worth sums of gradients of their own. */
  private static final int PIECE = 1024;

  private static final int MOST_PIECES = 16;

  private final NativeProducts products;
  private final NativeElements elements;

  NativeFeedForward(NativeProducts products, NativeElements elements) {
    this.products = products;
    this.elements = elements;
  }

  /** Rows of 2c columns that stay in the cache. */
  private static int near(int c) {
    return Math.clamp(NEAR / (2L * c + 1) / LEAST_ROWS * LEAST_ROWS, LEAST_ROWS, MOST_ROWS);
  }

  private static int rows(Tensor x) {
    return Math.toIntExact(x.shape().with(-1, 1).size());
  }

  private static int count(long rows, int atOnce) {
    return Math.toIntExact((rows + atOnce - 1) / atOnce);
  }

  void forward(Parallel parallel, Tensor[] inputs, Tensor[] outputs) {
    Tensor y = outputs[0];
    int rows = rows(inputs[0]);
    int in = inputs[1].dim(1);
    int c = inputs[3].dim(1);
    int out = inputs[3].dim(0);
    long x = address(inputs[0]);
    long upBias = address(inputs[2]);
    long downBias = address(inputs[4]);
    long residual = address(inputs[5]);
    long to = address(y);
    long kept = outputs.length > 1 ? address(outputs[1]) : 0;
    Scratch outside = Scratch.mine();
    long start = outside.mark();
    Form upForm = new Form(rows, 2 * c, in, in, 1, 1, in);
    Form downForm = new Form(rows, out, c, c, 1, 1, c);
    Rows up = products.rows(parallel, upForm, NativeProducts.LINEAR, address(inputs[1]));
    Rows down = products.rows(parallel, downForm, NativeProducts.LINEAR, address(inputs[3]));
    int together = near(c);
    parallel.forEach(
        count(rows, together),
        i -> {
          long first = (long) i * together;
          long some = Math.min(together, rows - first);
          Scratch scratch = Scratch.mine();
          long mark = scratch.mark();
          long wide = kept == 0 ? scratch.takeFloats(some * 2 * c) : kept + 4 * first * 2 * c;
          long gated = scratch.takeFloats(some * c);
          up.compute(x + 4 * first * in, some, wide, upBias, 0);
          elements.geglu(wide, gated, some, c);
          long at = 4 * first * out;
          down.compute(gated, some, to + at, downBias, residual + at);
          scratch.release(mark);
        });
    outside.release(start);
  }

  void backward(Parallel parallel, Tensor[] inputs, Tensor[] outputs) {
    int rows = rows(inputs[0]);
    int in = inputs[1].dim(1);
    int c = inputs[2].dim(1);
    int out = inputs[2].dim(0);
    long x = address(inputs[0]);
    long wide = address(inputs[3]);
    long dy = address(inputs[4]);
    long dx = address(outputs[0]);
    Scratch outside = Scratch.mine();
    long start = outside.mark();
    Planes planes = Planes.TWO;
    Form gatedForm = new Form(rows, c, out, out, 1, c, 1);
    Form inForm = new Form(rows, in, 2 * c, 2L * c, 1, in, 1);
    Rows toGated = products.rows(parallel, gatedForm, planes, address(inputs[2]));
    Rows toIn = products.rows(parallel, inForm, planes, address(inputs[1]));
    // Of both orders of factors the one that cuts the wide one's rows, not its columns.
    Sums upSums = products.sums(new Form(in, 2 * c, rows, 1, in, 2L * c, 1), planes);
    Sums downSums = products.sums(new Form(out, c, rows, 1, out, c, 1), planes);
    long upSize = 2L * c * in;
    long downSize = (long) out * c;
    int pieces = Math.clamp(rows / PIECE, 1, MOST_PIECES);
    long ups = outside.takeFloats(upSize * pieces);
    long downs = pieces == 1 ? address(outputs[3]) : outside.takeFloats(downSize * pieces);
    long biases = pieces == 1 ? address(outputs[2]) : outside.takeFloats(2L * c * pieces);
    int together = near(c);
    parallel.forEach(
        pieces,
        piece -> {
          Scratch scratch = Scratch.mine();
          long mark = scratch.mark();
          long dgated = scratch.takeFloats((long) together * c);
          long gated = scratch.takeFloats((long) together * c);
          long dwide = scratch.takeFloats((long) together * 2 * c);
          long dup = ups + 4 * piece * upSize;
          long ddown = downs + 4 * piece * downSize;
          long dbias = biases + 4L * piece * 2 * c;
          long begin = (long) piece * rows / pieces;
          long end = (piece + 1L) * rows / pieces;
          for (long first = begin; first < end || first == begin; first += together) {
            long some = Math.min(together, end - first);
            long atX = 4 * first * in;
            long atY = dy + 4 * first * out;
            boolean more = first > begin;
            toGated.compute(atY, some, dgated, 0, 0);
            elements.gegluBackward(wide + 4 * first * 2 * c, dgated, dwide, gated, some, c);
            toIn.compute(dwide, some, dx + atX, 0, 0);
            upSums.add(x + atX, dwide, some, dup, more ? dup : 0);
            downSums.add(atY, gated, some, ddown, more ? ddown : 0);
            elements.sumRows(dwide, some, 2L * c, dbias, more ? dbias : 0);
          }
          scratch.release(mark);
        });
    if (pieces > 1) {
      products.sum(parallel, ups, pieces, upSize, ups);
      products.sum(parallel, downs, pieces, downSize, address(outputs[3]));
      products.sum(parallel, biases, pieces, 2L * c, address(outputs[2]));
    }
    products.turn(parallel, ups, in, 2L * c, address(outputs[1]));
    outside.release(start);
  }
}
