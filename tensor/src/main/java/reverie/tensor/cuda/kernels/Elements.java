// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import java.util.Locale;
import reverie.tensor.DType;
import reverie.tensor.ReverieException;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Affine;
import reverie.tensor.op.Clamp;
import reverie.tensor.op.Op;
import reverie.tensor.op.Power;
import reverie.tensor.op.RoundTo;

/** Functions of single elements: {@code elements.cu}. */
final class Elements {
  private static final int MOST_AXES = 8;
  private static final int MOST_OPERANDS = 3;
  private static final int WIDTH = 16;

  private final Kernels kernels;

  Elements(Kernels kernels) {
    this.kernels = kernels;
  }

  /** y = op(inputs), where y is contiguous and the inputs are broadcast to it. */
  void run(Op op, Tensor[] inputs, Tensor y) {
    switch (op) {
      case Affine affine -> launch("affine", affine.scale(), affine.shift(), inputs, y);
      case Clamp clamp -> launch("clamp", clamp.low(), clamp.high(), inputs, y);
      case Power power -> launch("power", power.exponent(), 0, inputs, y);
      case RoundTo round when round.narrower() == DType.BF16 ->
          launch("round_to_bf16", 0, 0, inputs, y);
      case RoundTo round when round.narrower() == DType.F16 ->
          launch("round_to_f16", 0, 0, inputs, y);
      case RoundTo _ -> copy(inputs[0], y);
      default -> launch(op.name(), 0, 0, inputs, y);
    }
  }

  /** Copies elements of four bytes, of any strides, to contiguous ones. */
  void copy(Tensor x, Tensor y) {
    launch("copy", 0, 0, new Tensor[] {x}, y);
  }

  /** Copies elements of four bytes to an address, in row-major order. */
  void copy(Tensor x, long to) {
    launch("copy", 0, 0, new Tensor[] {x}, to, x.shape());
  }

  private void launch(String name, double p, double q, Tensor[] inputs, Tensor y) {
    launch(name, p, q, inputs, address(y), y.shape());
  }

  private void launch(String name, double p, double q, Tensor[] inputs, long to, Shape output) {
    boolean contiguous = true;
    boolean aligned = to % WIDTH == 0;
    for (Tensor x : inputs) {
      contiguous &= x.isContiguous() && x.shape().equals(output);
      aligned &= address(x) % WIDTH == 0;
    }
    long n = output.size();
    long fours = contiguous && aligned ? n / 4 : 0;
    Arguments arguments = new Arguments().write(to, 4 * n);
    for (int i = 0; i < MOST_OPERANDS; i++) {
      arguments.read(i < inputs.length ? inputs[i] : null);
    }
    arguments.int64(n).int64(fours).float32(p).float32(q);
    if (contiguous) {
      arguments.int32s(1 + MOST_AXES * (1 + MOST_OPERANDS));
    } else {
      strides(arguments, inputs, output);
    }
    String kernel = contiguous ? name : name + "_strided";
    kernels.launch(kernel, kernels.blocks(Math.max(fours, n - 4 * fours)), arguments);
  }

  /** Axes of the output, neighbours that every operand walks alike as one, and how it does. */
  private static void strides(Arguments arguments, Tensor[] inputs, Shape output) {
    int[] dims = new int[MOST_AXES];
    int[][] strides = new int[MOST_OPERANDS][MOST_AXES];
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
      } else if (axes == MOST_AXES) {
        throw new ReverieException(
            String.format(
                Locale.ROOT,
                "cuda device: expected at most %d axes that cannot be joined, got %s",
                MOST_AXES,
                output));
      } else {
        dims[axes++] = dim;
      }
      for (int i = 0; i < inputs.length; i++) {
        strides[i][axes - 1] = stride(inputs[i], output, axis);
      }
    }
    arguments.int32(axes).int32s(MOST_AXES, dims);
    for (int[] own : strides) {
      arguments.int32s(MOST_AXES, own);
    }
  }

  private static int stride(Tensor x, Shape output, int axis) {
    int own = axis - (output.rank() - x.shape().rank());
    return own < 0 || x.dim(own) == 1 ? 0 : x.stride(own);
  }

  void fill(double value, Tensor y) {
    Arguments arguments = new Arguments().write(y).int64(y.size()).float32(value);
    kernels.launch("fill", kernels.blocks(y.size()), arguments);
  }

  /**
   * y += bias + residual; either may be null.
   *
   * @param bias [c] or [n, c], for y [n, …, c]
   */
  void epilogue(Tensor y, Tensor bias, Tensor residual) {
    if (bias == null && residual == null) {
      return;
    }
    int c = y.dim(-1);
    boolean oneForAll = bias == null || bias.shape().rank() == 1;
    long pixels = oneForAll || y.size() == 0 ? 0 : y.size() / c / y.dim(0);
    Arguments arguments =
        new Arguments().update(y).read(bias).read(residual).int64(y.size()).int64(pixels);
    kernels.launch("epilogue", kernels.blocks(y.size()), arguments.int32(c));
  }

  void geglu(Tensor x, Tensor y) {
    gate("geglu", x, null, y, y);
  }

  void gegluBackward(Tensor x, Tensor dy, Tensor dx) {
    gate("geglu_backward", x, dy, dx, dy);
  }

  private void gate(String name, Tensor x, Tensor dy, Tensor y, Tensor half) {
    int c = half.dim(-1);
    Arguments arguments = new Arguments().read(x).read(dy).write(y);
    arguments.int64(c == 0 ? 0 : half.size() / c).int32(c);
    kernels.launch(name, kernels.blocks(half.size()), arguments);
  }

  void lerp(Tensor[] inputs, Tensor y) {
    Arguments arguments = new Arguments();
    for (Tensor x : inputs) {
      arguments.read(x);
    }
    kernels.launch("lerp", kernels.blocks(y.size()), arguments.write(y).int64(y.size()));
  }

  void adamW(AdamW op, Tensor[] inputs, Tensor[] outputs) {
    Arguments arguments = new Arguments();
    for (Tensor x : inputs) {
      arguments.read(x);
    }
    for (Tensor y : outputs) {
      arguments.write(y);
    }
    long n = outputs[0].size();
    arguments.int64(n);
    arguments.float32(op.beta1()).float32(op.beta2()).float32(op.epsilon());
    kernels.launch("adam_w", kernels.blocks(n), arguments.float32(op.weightDecay()));
  }
}
