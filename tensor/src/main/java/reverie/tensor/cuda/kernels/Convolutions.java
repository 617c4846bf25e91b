// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;
import static reverie.tensor.cuda.kernels.Space.aligned;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Dnn;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.cuda.kernels.Products.Rows;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;
import reverie.tensor.op.Convolution;

/**
 * Convolutions: of one pixel as matrix products, others by cuDNN, which wants the weights {@code
 * [kh, kw, cin, cout]} as {@code [cout, kh, kw, cin]} and, with {@link Precision#BF16}, everything
 * as bfloat16. What cuDNN does not have in a precision is computed in a wider one, and what it does
 * not have at all as products of unfolded images.
 */
final class Convolutions {
  private static final System.Logger LOG = System.getLogger(Convolutions.class.getName());

  private final Dnn dnn;
  private final Rehearsal rehearsal;
  private final Products products;
  private final Elements elements;
  private final Moves moves;
  private final PreparedWeights weights;
  private final Staging staging;
  private final Unfolding unfolding;
  private final Precision precision;
  private final Map<Kind, Choice> choices = new ConcurrentHashMap<>();
  private final Set<Dnn.Layer> layers = ConcurrentHashMap.newKeySet();

  Convolutions(
      Dnn dnn,
      Rehearsal rehearsal,
      Products products,
      Elements elements,
      Moves moves,
      Staging staging,
      PreparedWeights weights,
      Precision precision) {
    this.dnn = dnn;
    this.rehearsal = rehearsal;
    this.products = products;
    this.elements = elements;
    this.moves = moves;
    this.staging = staging;
    unfolding = new Unfolding(products, elements, moves, staging);
    this.weights = weights;
    this.precision = precision;
  }

  private record Kind(Dnn.Problem problem, Dnn.Direction direction) {}

  /**
   * How a convolution is computed.
   *
   * @param problem what cuDNN is asked for; null if images are unfolded
   */
  private record Choice(Dnn.Problem problem, String description) {}

  private Choice choice(Task task) {
    return choices.computeIfAbsent(new Kind(task.problem, task.direction), this::choose);
  }

  private Choice choose(Kind kind) {
    for (Precision next = precision; next != null; next = next.wider()) {
      Dnn.Problem problem = kind.problem.with(next);
      if (dnn.supports(problem, kind.direction)) {
        String algorithm = next.label() + ", " + dnn.algorithm(problem, kind.direction);
        return noted(kind, new Choice(problem, algorithm), next != precision);
      }
    }
    return noted(kind, new Choice(null, "products of unfolded images"), true);
  }

  /**
   * With bias and residual at once, if cuDNN does that; else null. Its engines for that are for
   * tensor cores; and in bfloat16 mode a layer must give the same bits whether a norm completes it
   * or not.
   */
  private Dnn.Layer layer(Task task, Tensor... inputs) {
    if (precision != Precision.TF32
        || task.direction != Dnn.Direction.FORWARD
        || inputs.length < 3
        || inputs[2].shape().rank() > 1) {
      return null;
    }
    Dnn.Layer layer = new Dnn.Layer(task.problem, inputs.length > 3);
    layers.add(layer);
    boolean aligned = Stream.of(inputs).skip(2).allMatch(Staging::isAligned);
    return aligned && dnn.supports(layer) ? layer : null;
  }

  private static Choice noted(Kind kind, Choice choice, boolean fallback) {
    if (fallback) {
      LOG.log(
          System.Logger.Level.INFO,
          "cuda device: no algorithm of cuDNN with the same bits every time for {0} of {1}: {2}",
          kind.direction,
          kind.problem,
          choice.description);
    }
    return choice;
  }

  /** For people: how each convolution that was asked for is computed. */
  List<String> describe() {
    return Stream.concat(
            choices.entrySet().stream()
                .map(e ->
                    e.getKey().direction
                        + " of "
                        + e.getKey().problem
                        + ": "
                        + e.getValue().description),
            layers.stream().map(layer -> layer + ": " + dnn.algorithm(layer)))
        .sorted()
        .toList();
  }

  /** What is computed, with the tensors by their role whatever the direction. */
  record Task(Dnn.Direction direction, Dnn.Problem problem, Tensor x, Tensor w, Tensor y) {
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

    int perOutput() {
      return Math.toIntExact(w.size() / problem.outputs());
    }

    /** Whether all sums are empty. */
    boolean vanishes() {
      return x.size() == 0 || w.size() == 0 || y.size() == 0;
    }
  }

  private Task task(Convolution op, Tensor[] inputs, Tensor output) {
    return switch (op) {
      case Conv2d c ->
          task(Dnn.Direction.FORWARD, c.stride(), c.padding(), inputs[0], inputs[1], output);
      case Conv2dInputGradient g ->
          task(Dnn.Direction.INPUT_GRADIENT, g.stride(), g.padding(), output, inputs[1], inputs[0]);
      case Conv2dWeightGradient g ->
          task(
              Dnn.Direction.WEIGHT_GRADIENT, g.stride(), g.padding(), inputs[0], output, inputs[1]);
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

  long scratchBytes(Convolution op, Tensor[] inputs, Tensor output) {
    Task task = task(op, inputs, output);
    if (task.vanishes()) {
      return 0;
    }
    if (task.pointwise()) {
      return factorBytes(task, task.x) + factorBytes(task, task.w) + factorBytes(task, task.y);
    }
    Dnn.Layer layer = layer(task, inputs);
    if (layer != null) {
      return aligned(4 * task.w.size())
          + Staging.scratchBytes(task.x, task.y)
          + aligned(dnn.workspaceBytes(layer));
    }
    Choice choice = choice(task);
    if (choice.problem == null) {
      return Unfolding.scratchBytes(task);
    }
    long operands = Staging.scratchBytes(task.x, task.y);
    if (choice.problem.precision() == Precision.BF16) {
      operands = Staging.halvesBytes(task.x) + Staging.halvesBytes(task.y);
    }
    long workspace = aligned(dnn.workspaceBytes(choice.problem, task.direction));
    return aligned(4 * task.w.size()) + operands + workspace;
  }

  /** Computes a convolution, to be completed, or one of its gradients, which is complete. */
  Sum run(Convolution op, Tensor[] inputs, Tensor output, Space scratch) {
    Task task = task(op, inputs, output);
    Numbers result = Numbers.of(output);
    if (task.vanishes()) {
      elements.clear(result, output.size());
    } else if (task.pointwise()) {
      return multiply(task, inputs, scratch);
    } else {
      Dnn.Layer layer = layer(task, inputs);
      if (layer != null) {
        return convolve(task, layer, inputs, scratch);
      }
      Choice choice = choice(task);
      if (choice.problem == null) {
        unfolding.run(task, scratch);
      } else if (choice.problem.precision() == Precision.BF16) {
        result = convolveHalves(task, choice.problem, scratch);
      } else {
        convolve(task, choice.problem, scratch);
      }
    }
    return op instanceof Conv2d ? Sum.of(result, inputs, 2) : Sum.of(Numbers.of(output));
  }

  /**
   * Whether an input is rounded to bfloat16: images and their gradients, where they are factors.
   */
  boolean rounds(Convolution op, Tensor[] inputs, Tensor output, int input) {
    boolean factor = input == 0 || input == 1 && op instanceof Conv2dWeightGradient;
    Task task = task(op, inputs, output);
    return factor && precision == Precision.BF16 && !task.vanishes() && inHalves(task);
  }

  private boolean inHalves(Task task) {
    if (task.pointwise()) {
      return true;
    }
    Dnn.Problem problem = choice(task).problem;
    return problem != null && problem.precision() == Precision.BF16;
  }

  private Sum multiply(Task task, Tensor[] inputs, Space scratch) {
    int in = task.problem.channels();
    int out = task.problem.outputs();
    int pixels = Math.toIntExact(task.y.size() / out);
    Rows x = factor(task, task.x, in, scratch);
    Rows w = factor(task, task.w, out, scratch);
    Rows y = factor(task, task.y, out, scratch);
    return switch (task.direction) {
      case FORWARD -> products.multiply(x, w, y, pixels, out, in, inputs, 2);
      case INPUT_GRADIENT -> {
        products.multiply(y, w.flipped(), x, pixels, in, out);
        staging.finish(task.x, x.address());
        yield Sum.of(Numbers.of(task.x));
      }
      case WEIGHT_GRADIENT -> {
        products.multiply(x.flipped(), y, w, in, out, pixels);
        staging.finish(task.w, w.address());
        yield Sum.of(Numbers.of(task.w));
      }
    };
  }

  /** A factor as cuBLAS gets it, or where it writes the result. */
  private Rows factor(Task task, Tensor tensor, int columns, Space scratch) {
    boolean half = isHalf(task, tensor);
    boolean result = tensor == task.result();
    long at;
    if (half) {
      at = result ? resultOfHalves(tensor, scratch) : staging.halves(tensor, scratch);
    } else {
      at = result ? staging.write(tensor, scratch) : staging.read(tensor, scratch);
    }
    return Rows.contiguous(at, half, columns);
  }

  /** Whether cuBLAS gets or gives bfloat16; gradients are float32. */
  private boolean isHalf(Task task, Tensor tensor) {
    boolean gradient = tensor == task.result() && task.direction != Dnn.Direction.FORWARD;
    return precision == Precision.BF16 && !gradient;
  }

  private long factorBytes(Task task, Tensor tensor) {
    return isHalf(task, tensor) ? Staging.halvesBytes(tensor) : Staging.scratchBytes(tensor);
  }

  private static long resultOfHalves(Tensor y, Space scratch) {
    return Staging.isHalf(y) ? address(y) : scratch.take(2 * y.size());
  }

  /** The address of an operand, or where the result is written. */
  private long operand(Task task, Tensor tensor, long result, Space scratch) {
    return tensor == task.result() ? result : staging.read(tensor, scratch);
  }

  private Sum convolve(Task task, Dnn.Layer layer, Tensor[] inputs, Space scratch) {
    long y = staging.write(task.y, scratch);
    long x = staging.read(task.x, scratch);
    long w = prepared(task, false, scratch);
    long bias = address(inputs[2]);
    long residual = layer.residual() ? address(inputs[3]) : 0;
    long workspace = scratch.take(dnn.workspaceBytes(layer));
    rehearsal.call(
        layer,
        4 * task.y.size(),
        y,
        to -> dnn.run(layer, new Dnn.Operands(x, w, bias, residual, to, workspace)));
    return Sum.of(new Numbers(y, false));
  }

  private void convolve(Task task, Dnn.Problem problem, Space scratch) {
    long to = task.result() == task.w ? 0 : staging.write(task.result(), scratch);
    long x = operand(task, task.x, to, scratch);
    long y = operand(task, task.y, to, scratch);
    long w = prepared(task, false, scratch);
    call(task, problem, x, w, y, scratch);
    if (task.result() == task.w) {
      moves.transpose(w, address(task.w), task.problem.outputs(), task.perOutput(), false);
    } else {
      staging.finish(task.result(), to);
    }
  }

  /** Weights as cuDNN wants them; of a gradient of weights where it is to be written. */
  private long prepared(Task task, boolean half, Space scratch) {
    if (task.direction == Dnn.Direction.WEIGHT_GRADIENT) {
      return scratch.take(4 * task.w.size());
    }
    int outputs = task.problem.outputs();
    long known =
        weights.find(new PreparedWeights.Form(address(task.w), task.perOutput(), outputs, half));
    if (known != 0) {
      return known;
    }
    long own = scratch.take(4 * task.w.size());
    moves.transpose(address(task.w), own, task.perOutput(), outputs, half);
    return own;
  }

  /** Gradients are widened here, results by what completes them. */
  private Numbers convolveHalves(Task task, Dnn.Problem problem, Space scratch) {
    long x = half(task, task.x, scratch);
    long y = half(task, task.y, scratch);
    long w = prepared(task, true, scratch);
    call(task, problem, x, w, y, scratch);
    switch (task.direction) {
      case FORWARD -> {}
      case INPUT_GRADIENT -> moves.widen(x, address(task.x), task.x.size());
      case WEIGHT_GRADIENT ->
          moves.transposeHalves(w, address(task.w), task.problem.outputs(), task.perOutput());
    }
    return new Numbers(y, true);
  }

  /** Images as bfloat16, or room for those of the result. */
  private long half(Task task, Tensor images, Space scratch) {
    return images == task.result()
        ? resultOfHalves(images, scratch)
        : staging.halves(images, scratch);
  }

  private void call(Task task, Dnn.Problem problem, long x, long w, long y, Space scratch) {
    Dnn.Direction direction = task.direction;
    long workspace = scratch.take(dnn.workspaceBytes(problem, direction));
    long first = direction == Dnn.Direction.INPUT_GRADIENT ? y : x;
    long second = direction == Dnn.Direction.WEIGHT_GRADIENT ? y : w;
    long result =
        switch (direction) {
          case FORWARD -> y;
          case INPUT_GRADIENT -> x;
          case WEIGHT_GRADIENT -> w;
        };
    rehearsal.call(
        new Kind(problem, direction),
        4 * task.result().size(),
        result,
        to -> dnn.run(problem, direction, first, second, to, workspace));
  }
}
