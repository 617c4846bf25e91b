// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.op.Affine;
import reverie.tensor.op.Binary;
import reverie.tensor.op.Clamp;
import reverie.tensor.op.ElementFunction;
import reverie.tensor.op.GeluBackward;
import reverie.tensor.op.Power;
import reverie.tensor.op.RoundTo;
import reverie.tensor.op.Select;
import reverie.tensor.op.SiluBackward;
import reverie.tensor.op.Unary;

/** Functions of single elements: {@code elements.cu}. */
final class Elements {
  private static final int MAX_AXES = 8;
  private static final int MAX_OPERANDS = 3;
  private static final int WIDTH = 16;
  private static final long MAX_AT_ONCE = 1L << 30;

  private static final Result NOWHERE = new Result(0, 0);

  /** In the order of {@code elements.cu}. */
  private static final List<String> FUNCTIONS =
      List.of(
          ("copy affine clamp power round_to_bf16 round_to_f16 abs cos erf exp gelu log log_sigmoid"
                  + " reciprocal relu sigmoid sign silu sin sqrt square tanh add div greater"
                  + " maximum minimum mul sub silu_backward gelu_backward select")
              .split(" "));

  private final Kernels kernels;

  Elements(Kernels kernels) {
    this.kernels = kernels;
  }

  /** What a kernel computes: its name and its two numbers. */
  private record Kernel(String name, double p, double q) {
    static Kernel of(ElementFunction op) {
      return switch (op) {
        case Affine affine -> new Kernel("affine", affine.scale(), affine.shift());
        case Clamp clamp -> new Kernel("clamp", clamp.low(), clamp.high());
        case Power power -> new Kernel("power", power.exponent(), 0);
        case RoundTo round when round.narrower() == DType.BF16 -> new Kernel("round_to_bf16", 0, 0);
        case RoundTo round when round.narrower() == DType.F16 -> new Kernel("round_to_f16", 0, 0);
        case RoundTo _ -> new Kernel("copy", 0, 0);
        case Binary _, GeluBackward _, Select _, SiluBackward _, Unary _ ->
            new Kernel(op.name(), 0, 0);
      };
    }
  }

  /** y = op(inputs), where y has a shape and the inputs are broadcast to it. */
  void run(ElementFunction op, Tensor[] inputs, Result y, Shape shape) {
    Kernel kernel = Kernel.of(op);
    launch(kernel.name, kernel.p, kernel.q, inputs, y, shape);
  }

  /** The functions of a composition for elements of the same place, one after another. */
  void run(Composed op, Tensor[] inputs, Tensor... outputs) {
    Shape shape = outputs[0].shape();
    long n = shape.size();
    boolean aligned = true;
    int strided = 0;
    Arguments arguments = new Arguments();
    for (int i = 0; i < Composed.MAX_INPUTS; i++) {
      arguments.read(i < inputs.length ? inputs[i] : null);
    }
    for (int i = 0; i < inputs.length; i++) {
      if (isLike(inputs[i], shape)) {
        aligned &= address(inputs[i]) % WIDTH == 0;
      } else {
        strided |= 1 << i;
      }
    }
    List<Result> results = new ArrayList<>();
    results.add(Result.first(outputs, op.types().size()));
    for (int i = 1; i < op.types().size(); i++) {
      results.add(Result.of(outputs[i]));
    }
    aligned &= results.stream().allMatch(Result::isAligned);
    arguments.int64(n).int32(op.parts().size()).int32(aligned ? 1 : 0).int32(strided);
    strides(arguments, inputs, shape, Composed.MAX_INPUTS);
    for (Composed.Part part : op.parts()) {
      Result y = part.output() < 0 ? NOWHERE : results.get(part.output());
      add(arguments.write(y, n), part);
    }
    for (int i = op.parts().size(); i < Composed.MAX_PARTS; i++) {
      arguments.write(NOWHERE, 0).int32s(4 + MAX_OPERANDS);
    }
    kernels.launch("composed", kernels.blocks((n + 3) / 4), arguments);
  }

  private static void add(Arguments arguments, Composed.Part part) {
    Kernel kernel = Kernel.of(part.function());
    arguments.float32(kernel.p).float32(kernel.q);
    arguments.int32(FUNCTIONS.indexOf(kernel.name)).int32(part.slot());
    for (int i = 0; i < MAX_OPERANDS; i++) {
      arguments.int32(i < part.operands().size() ? part.operands().get(i) : -1);
    }
  }

  private static boolean isLike(Tensor x, Shape shape) {
    return x.isContiguous() && x.shape().equals(shape);
  }

  /** Copies elements of four bytes, of any strides, to contiguous ones. */
  void copy(Tensor x, Tensor y) {
    launch("copy", 0, 0, new Tensor[] {x}, Result.of(y), y.shape());
  }

  /** Copies elements of four bytes, broadcast to a shape, to an address in row-major order. */
  void copy(Tensor x, Shape shape, long to) {
    launch("copy", 0, 0, new Tensor[] {x}, new Result(to, 0), shape);
  }

  /** Copies contiguous elements of four bytes. */
  void copy(long from, long to, long n) {
    contiguous("copy", n, to, from);
  }

  /** y += x for contiguous elements. */
  void accumulate(long x, long y, long n) {
    contiguous("add", n, y, y, x);
  }

  private void contiguous(String name, long n, long to, long... from) {
    boolean aligned = to % WIDTH == 0;
    Arguments arguments = new Arguments().write(new Result(to, 0), n);
    for (int i = 0; i < MAX_OPERANDS; i++) {
      arguments.read(i < from.length ? from[i] : 0, 4 * n);
      aligned &= i >= from.length || from[i] % WIDTH == 0;
    }
    long fours = aligned ? n / 4 : 0;
    arguments.int64(n).int64(fours).float32(0).float32(0);
    arguments.int32s(1 + MAX_AXES * (1 + MAX_OPERANDS));
    kernels.launch(name, kernels.blocks(Math.max(fours, n - 4 * fours)), arguments);
  }

  private void launch(String name, double p, double q, Tensor[] inputs, Result to, Shape output) {
    boolean contiguous = true;
    boolean aligned = to.isAligned();
    for (Tensor x : inputs) {
      contiguous &= isLike(x, output);
      aligned &= address(x) % WIDTH == 0;
    }
    long n = output.size();
    long fours = contiguous && aligned ? n / 4 : 0;
    Arguments arguments = new Arguments().write(to, n);
    for (int i = 0; i < MAX_OPERANDS; i++) {
      arguments.read(i < inputs.length ? inputs[i] : null);
    }
    arguments.int64(n).int64(fours).float32(p).float32(q);
    if (contiguous) {
      arguments.int32s(1 + MAX_AXES * (1 + MAX_OPERANDS));
    } else {
      strides(arguments, inputs, output, MAX_OPERANDS);
    }
    String kernel = contiguous ? name : name + "_strided";
    kernels.launch(kernel, kernels.blocks(Math.max(fours, n - 4 * fours)), arguments);
  }

  /**
   * Axes of the output, neighbours that every operand walks alike as one, and how it does.
   *
   * @param operands for which there is room
   */
  private static void strides(Arguments arguments, Tensor[] inputs, Shape output, int operands) {
    int[] dims = new int[MAX_AXES];
    int[][] strides = new int[operands][MAX_AXES];
    int axes = 0;
    for (int axis = 0; axis < output.rank(); axis++) {
      int dim = output.dim(axis);
      if (dim == 1) {
        continue;
      }
      boolean joins = axes > 0;
      for (int i = 0; joins && i < inputs.length; i++) {
        joins = strides[i][axes - 1] == dim * stride(inputs[i], output, axis);
      }
      if (joins) {
        dims[axes - 1] *= dim;
      } else if (axes == MAX_AXES) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "cuda device: expected at most %d axes that cannot be joined, got %s",
                MAX_AXES,
                output));
      } else {
        dims[axes++] = dim;
      }
      for (int i = 0; i < inputs.length; i++) {
        strides[i][axes - 1] = stride(inputs[i], output, axis);
      }
    }
    arguments.int32(axes).int32s(MAX_AXES, dims);
    for (int[] own : strides) {
      arguments.int32s(MAX_AXES, own);
    }
  }

  private static int stride(Tensor x, Shape output, int axis) {
    int own = axis - (output.rank() - x.shape().rank());
    return own < 0 || x.dim(own) == 1 ? 0 : x.stride(own);
  }

  void fill(double value, Tensor y) {
    fill(value, address(y), y.size());
  }

  /** Zeros, which are the same in both types. */
  void clear(Numbers y, long n) {
    fill(0, y.address(), (n * y.bytes() + 3) / 4);
  }

  private void fill(double value, long y, long n) {
    Arguments arguments = new Arguments().write(y, 4 * n).int64(n).float32(value);
    arguments.int32(y % WIDTH == 0 ? 1 : 0);
    kernels.launch("fill", kernels.blocks(n / 4 + 1), arguments);
  }

  /**
   * The result of a layer, whose product may be there.
   *
   * @param y of its shape
   */
  void complete(Sum sum, Result result, Tensor y) {
    boolean there =
        sum.isComplete() && sum.x().equals(Numbers.of(y)) && result.equals(Result.of(y));
    if (y.size() == 0 || there) {
      return;
    }
    // Kernels count with 32 bits: so many rows, or images with all biases, at once.
    long whole = sum.rows() * sum.image(y);
    long atOnce = Math.max(1, MAX_AT_ONCE / whole) * whole;
    for (long first = 0; first < y.size(); first += atOnce) {
      long n = Math.min(atOnce, y.size() - first);
      Result to = result.plus(first);
      Arguments arguments = sum.add(new Arguments(), y, first, n).write(to, n).int64(n);
      boolean aligned = sum.isAligned(y.dim(-1)) && to.isAligned();
      kernels.launch("epilogue", kernels.blocks(n / 4 + 1), arguments.int32(aligned ? 1 : 0));
    }
  }

  void geglu(Tensor x, Tensor y) {
    geglu(Numbers.of(x), 0, Result.of(y), y.size(), y.dim(-1));
  }

  /**
   * y[n / c, c] = geglu(x[n / c, 2c] + bias).
   *
   * @param bias [2c], or 0
   */
  void geglu(Numbers x, long bias, Result y, long n, int c) {
    gate("geglu", x, bias, 0, y, n, c);
  }

  void gegluBackward(Tensor x, Tensor dy, Result dx) {
    gegluBackward(Numbers.of(x), 0, address(dy), dx, dy.size(), dy.dim(-1));
  }

  /**
   * dx[n / c, 2c] of dy[n / c, c] at x + bias.
   *
   * @param bias [2c], or 0
   */
  void gegluBackward(Numbers x, long bias, long dy, Result dx, long n, int c) {
    gate("geglu_backward", x, bias, dy, dx, n, c);
  }

  private void gate(String name, Numbers x, long bias, long dy, Result y, long all, int c) {
    if (all == 0) {
      return;
    }
    long rows = all / c;
    long atOnce = Math.max(1, MAX_AT_ONCE / c);
    int outputs = dy == 0 ? 1 : 2;
    for (long first = 0; first < rows; first += atOnce) {
      long n = Math.min(atOnce, rows - first) * c;
      long skipped = first * c;
      Numbers from = x.plus(2 * skipped);
      Result to = y.plus(outputs * skipped);
      long gradient = dy == 0 ? 0 : dy + 4 * skipped;
      Arguments arguments = new Arguments().read(from, 2 * n).write(to, outputs * n);
      arguments.read(gradient, 4 * n).read(bias, 8L * c).int64(n).int32(c);
      boolean aligned =
          c % 4 == 0 && (bias | gradient) % WIDTH == 0 && from.isAligned() && to.isAligned();
      kernels.launch(name, kernels.blocks(n / 4 + 1), arguments.int32(aligned ? 1 : 0));
    }
  }
}
