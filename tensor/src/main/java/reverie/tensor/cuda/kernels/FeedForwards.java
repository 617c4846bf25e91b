// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import reverie.tensor.Tensor;
import reverie.tensor.cuda.kernels.Products.Rows;
import reverie.tensor.op.FeedForward;
import reverie.tensor.op.FeedForwardBackward;

/**
 * Feed-forward networks: two linear layers, and what gates between them, which adds the first one's
 * bias. What is between the layers stays in working memory, in bfloat16 mode as bfloat16; gradients
 * compute it again.
 */
final class FeedForwards {
  private final Products products;
  private final Elements elements;
  private final Staging staging;

  FeedForwards(Products products, Elements elements, Staging staging) {
    this.products = products;
    this.elements = elements;
    this.staging = staging;
  }

  /** What is before and after the gate. */
  private record Between(Rows before, Rows gated, int rows, int columns) {
    long size() {
      return (long) rows * columns;
    }
  }

  private Between gated(long x, Tensor[] inputs, int rows, Space scratch) {
    boolean half = products.inHalves();
    int wide = inputs[1].dim(0);
    Rows before = Rows.contiguous(scratch.take(bytes() * rows * wide), half, wide);
    Rows gated = Rows.contiguous(scratch.take(bytes() * rows * wide / 2), half, wide / 2);
    Tensor[] up = {inputs[0], inputs[1]};
    products.layer(x, up, 1, before, rows, scratch);
    Between between = new Between(before, gated, rows, wide / 2);
    elements.geglu(before.numbers(), address(inputs[2]), result(gated), between.size(), wide / 2);
    return between;
  }

  private static Result result(Rows rows) {
    return rows.half() ? new Result(0, rows.address()) : new Result(rows.address(), 0);
  }

  private long bytes() {
    return products.inHalves() ? 2 : 4;
  }

  private long betweenBytes(long rows, Tensor up) {
    long wide = rows * up.dim(0);
    return Space.aligned(bytes() * wide) + Space.aligned(bytes() * wide / 2);
  }

  /** To be completed, as far as it is not complete. */
  Sum forward(Tensor[] inputs, Tensor y, Space scratch) {
    if (y.size() == 0) {
      return Sum.of(Numbers.of(y));
    }
    int rows = Products.rows(inputs[3], y);
    Rows to = products.result(y, scratch);
    Between between = gated(products.factor(inputs[0], scratch), inputs, rows, scratch);
    return products.layer(between.gated.address(), inputs, 3, to, rows, scratch);
  }

  /** Bytes for what is between the layers, and for copies. */
  long scratchBytes(FeedForward op, Tensor[] inputs, Tensor y) {
    long rows = y.size() == 0 ? 0 : Products.rows(inputs[3], y);
    return betweenBytes(rows, inputs[1])
        + products.factorBytes(inputs[0])
        + products.factorBytes(inputs[1])
        + products.factorBytes(inputs[3])
        + products.resultBytes(y);
  }

  /**
   * Whether {@link #backward} computes the gradients, else what they are made of does: with factors
   * of float32 it would need more memory and move no fewer bytes.
   */
  boolean hasBackward(Tensor... inputs) {
    if (!products.inHalves()) {
      return false;
    }
    int in = inputs[1].dim(1);
    int out = inputs[3].dim(0);
    int rows = out == 0 ? 0 : Products.rows(inputs[3], inputs[4]);
    return products.givesGradients(rows, in, inputs[1].dim(0))
        && products.givesGradients(rows, inputs[3].dim(1), out);
  }

  /** Gradients of x, of both weights and of both biases. */
  void backward(Tensor[] inputs, Tensor[] outputs, Space scratch) {
    Tensor dx = outputs[0];
    int in = inputs[1].dim(1);
    int out = inputs[3].dim(0);
    int rows = Products.rows(inputs[3], inputs[4]);
    boolean half = products.inHalves();
    long x = products.factor(inputs[0], scratch);
    long dy = products.factor(inputs[4], scratch);
    Between between = gated(x, inputs, rows, scratch);
    int columns = between.columns;
    products.gradients(between.gated.address(), dy, rows, outputs[3], outputs[4], scratch);
    Rows down = Rows.contiguous(products.factor(inputs[3], scratch), half, columns);
    Rows dgated = Rows.contiguous(scratch.take(4 * between.size()), false, columns);
    products.multiply(Rows.contiguous(dy, half, out), down, dgated, rows, columns, out);
    Rows dwide = Rows.contiguous(scratch.take(2 * bytes() * between.size()), half, 2 * columns);
    elements.gegluBackward(
        between.before.numbers(),
        address(inputs[2]),
        dgated.address(),
        result(dwide),
        between.size(),
        columns);
    products.gradients(x, dwide.address(), rows, outputs[1], outputs[2], scratch);
    Rows up = Rows.contiguous(products.factor(inputs[1], scratch), half, in);
    Rows to = Rows.contiguous(staging.write(dx, scratch), false, in);
    products.multiply(dwide, up, to, rows, in, 2 * columns);
    staging.finish(dx, to.address());
  }

  /** Bytes for what is between the layers and its gradients, and for copies. */
  long scratchBytes(FeedForwardBackward op, Tensor[] inputs, Tensor[] outputs) {
    long rows = Products.rows(inputs[3], inputs[4]);
    long size = rows * inputs[3].dim(1);
    // The first factor of the second layer is not an input; up is one twice.
    return betweenBytes(rows, inputs[1])
        + Space.aligned(4 * size)
        + Space.aligned(2 * bytes() * size)
        + products.factorBytes(inputs[0])
        + 2 * products.factorBytes(inputs[1])
        + products.factorBytes(inputs[3])
        + products.factorBytes(inputs[4])
        + Staging.scratchBytes(outputs);
  }
}
