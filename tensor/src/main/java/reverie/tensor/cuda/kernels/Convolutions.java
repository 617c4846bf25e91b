// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;
import static reverie.tensor.cuda.kernels.Space.aligned;

import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Dnn;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.cuda.kernels.Products.Rows;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.Op;

/**
 * Convolutions: of one pixel as matrix products, others by cuDNN, which wants the weights {@code
 * [kh, kw, cin, cout]} as {@code [cout, kh, kw, cin]} and, with {@link Precision#BF16}, everything
 * as bfloat16.
 */
final class Convolutions {
  private final Dnn dnn;
  private final Products products;
  private final Elements elements;
  private final Moves moves;
  private final Precision precision;

  Convolutions(Dnn dnn, Products products, Elements elements, Moves moves, Precision precision) {
    this.dnn = dnn;
    this.products = products;
    this.elements = elements;
    this.moves = moves;
    this.precision = precision;
  }

  /** What is computed, with the tensors by their role whatever the direction. */
  private record Task(Dnn.Direction direction, Dnn.Problem problem, Tensor x, Tensor w, Tensor y) {
    Tensor result() {
      return switch (direction) {
        case FORWARD -> y;
        case INPUT_GRADIENT -> x;
        case WEIGHT_GRADIENT -> w;
      };
    }

    boolean pointwise() {
      return problem.kernelHeight() == 1
          && problem.kernelWidth() == 1
          && problem.stride() == 1
          && problem.padding() == 0;
    }

    /** Whether all sums are empty. */
    boolean vanishes() {
      return x.size() == 0 || w.size() == 0 || y.size() == 0;
    }
  }

  /** The task of an operation, or null if it is no convolution. */
  private Task task(Op op, Tensor[] inputs, Tensor output) {
    return switch (op) {
      case Conv2d c ->
          task(Dnn.Direction.FORWARD, c.stride(), c.padding(), inputs[0], inputs[1], output);
      case Conv2dInputGradient g ->
          task(Dnn.Direction.INPUT_GRADIENT, g.stride(), g.padding(), output, inputs[1], inputs[0]);
      case Conv2dWeightGradient g ->
          task(
              Dnn.Direction.WEIGHT_GRADIENT, g.stride(), g.padding(), inputs[0], output, inputs[1]);
      default -> null;
    };
  }

  private Task task(
      Dnn.Direction direction, int stride, int padding, Tensor x, Tensor w, Tensor y) {
    Dnn.Problem problem =
        new Dnn.Problem(
            x.dim(0), x.dim(1), x.dim(2), x.dim(3), y.dim(3), w.dim(0), w.dim(1), stride, padding,
            precision);
    return new Task(direction, problem, x, w, y);
  }

  long scratchBytes(Op op, Tensor[] inputs, Tensor output) {
    Task task = task(op, inputs, output);
    if (task == null || task.vanishes() || task.pointwise()) {
      return 0;
    }
    long weights = aligned(4 * task.w.size());
    long halves =
        precision == Precision.BF16
            ? aligned(2 * task.x.size()) + aligned(2 * task.w.size()) + aligned(2 * task.y.size())
            : 0;
    return weights + halves + dnn.workspaceBytes(task.problem, task.direction);
  }

  /** Computes a convolution or one of its gradients. */
  void run(Op op, Tensor[] inputs, Tensor output, Space scratch) {
    Task task = task(op, inputs, output);
    if (task.vanishes()) {
      elements.fill(0, output);
    } else if (task.pointwise()) {
      multiply(task);
    } else {
      convolve(task, scratch);
    }
    if (op instanceof Conv2d) {
      elements.epilogue(
          output, inputs.length > 2 ? inputs[2] : null, inputs.length > 3 ? inputs[3] : null);
    }
  }

  private void multiply(Task task) {
    int in = task.problem.channels();
    int out = task.problem.outputs();
    int pixels = Math.toIntExact(task.y.size() / out);
    Rows x = Rows.contiguous(address(task.x), in);
    Rows w = Rows.contiguous(address(task.w), out);
    Rows y = Rows.contiguous(address(task.y), out);
    switch (task.direction) {
      case FORWARD -> products.multiply(x, w, y.address(), pixels, out, in);
      case INPUT_GRADIENT -> products.multiply(y, w.flipped(), x.address(), pixels, in, out);
      case WEIGHT_GRADIENT -> products.multiply(x.flipped(), y, w.address(), in, out, pixels);
    }
  }

  private void convolve(Task task, Space scratch) {
    long x = address(task.x);
    long y = address(task.y);
    long w = scratch.take(4 * task.w.size());
    int out = task.problem.outputs();
    int perOutput = Math.toIntExact(task.w.size() / out);
    boolean weightsGiven = task.direction != Dnn.Direction.WEIGHT_GRADIENT;
    if (weightsGiven) {
      moves.transpose(address(task.w), w, perOutput, out);
    }
    if (precision == Precision.BF16) {
      convolveHalves(task, x, w, y, scratch);
    } else {
      call(task, x, w, y, scratch);
    }
    if (!weightsGiven) {
      moves.transpose(w, address(task.w), out, perOutput);
    }
  }

  private void convolveHalves(Task task, long x, long w, long y, Space scratch) {
    long[] wide = {x, w, y};
    Tensor[] tensors = {task.x, task.w, task.y};
    long[] halves = new long[tensors.length];
    for (int i = 0; i < tensors.length; i++) {
      halves[i] = scratch.take(2 * tensors[i].size());
      if (tensors[i] != task.result()) {
        moves.narrow(wide[i], halves[i], tensors[i].size());
      }
    }
    call(task, halves[0], halves[1], halves[2], scratch);
    for (int i = 0; i < tensors.length; i++) {
      if (tensors[i] == task.result()) {
        moves.widen(halves[i], wide[i], tensors[i].size());
      }
    }
  }

  private void call(Task task, long x, long w, long y, Space scratch) {
    Dnn.Problem problem = task.problem;
    Dnn.Direction direction = task.direction;
    long workspace = scratch.take(0);
    switch (direction) {
      case FORWARD -> dnn.run(problem, direction, x, w, y, workspace);
      case INPUT_GRADIENT -> dnn.run(problem, direction, y, w, x, workspace);
      case WEIGHT_GRADIENT -> dnn.run(problem, direction, x, y, w, workspace);
    }
  }
}
