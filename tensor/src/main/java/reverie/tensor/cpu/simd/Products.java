// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Conv2d;

/** Turns tensors into calls of {@link Gemm} and {@link Convolution}. */
public final class Products {
  private Products() {}

  /** Batched products of matrices of any strides; leading axes broadcast. */
  public static void matmul(Parallel parallel, Tensor a, Tensor b, Tensor y) {
    if (y.size() == 0) {
      return;
    }
    Gemm.Form form =
        new Gemm.Form(
            y.dim(-2),
            y.dim(-1),
            a.dim(-1),
            4L * a.stride(-2),
            4L * a.stride(-1),
            4L * b.stride(-2),
            4L * b.stride(-1),
            4L * y.dim(-1),
            0);
    int batch = Math.toIntExact(y.size() / ((long) form.m() * form.n()));
    boolean shared = b.size() == (long) form.k() * form.n();
    if (shared && a.isContiguous()) {
      Gemm.Form flat =
          new Gemm.Form(
              batch * form.m(),
              form.n(),
              form.k(),
              4L * form.k(),
              4,
              form.bRow(),
              form.bColumn(),
              form.cRow(),
              0);
      Gemm.multiply(
          parallel,
          flat,
          new long[] {Memory.address(a)},
          new long[] {Memory.address(b)},
          new long[] {Memory.address(y)});
      return;
    }
    long[] c = new long[batch];
    for (int i = 0; i < batch; i++) {
      c[i] = Memory.address(y) + 4L * i * form.m() * form.n();
    }
    Gemm.multiply(parallel, form, addresses(a, y, batch), addresses(b, y, batch), c);
  }

  private static long[] addresses(Tensor x, Tensor y, int batch) {
    long[] out = new long[batch];
    int lead = y.shape().rank() - x.shape().rank();
    for (int i = 0; i < batch; i++) {
      long address = Memory.address(x);
      int rest = i;
      for (int axis = y.shape().rank() - 3; axis >= 0; axis--) {
        int index = rest % y.dim(axis);
        rest /= y.dim(axis);
        if (axis >= lead && x.dim(axis - lead) != 1) {
          address += 4L * index * x.stride(axis - lead);
        }
      }
      out[i] = address;
    }
    return out;
  }

  /** x·weightᵀ + bias + residual. */
  public static void linear(Parallel parallel, Tensor[] inputs, Tensor y) {
    int in = inputs[1].dim(1);
    int out = inputs[1].dim(0);
    if (y.size() == 0) {
      return;
    }
    int rows = Math.toIntExact(y.size() / out);
    Gemm.multiply(
        parallel,
        new Gemm.Form(rows, out, in, 4L * in, 4, 4, 4L * in, 4L * out, bias(inputs)),
        new long[] {Memory.address(inputs[0])},
        new long[] {Memory.address(inputs[1])},
        new long[] {Memory.address(y)});
    addResidual(parallel, inputs, y);
  }

  private static void addResidual(Parallel parallel, Tensor[] inputs, Tensor y) {
    if (inputs.length > 3) {
      Elementwise.add(parallel, y, Memory.address(inputs[3]), y.shape().dims());
    }
  }

  public static void conv2d(Parallel parallel, Conv2d op, Tensor[] inputs, Tensor y) {
    Convolution.forward(
        parallel,
        form(op.stride(), op.padding(), inputs[0], inputs[1].dim(0), inputs[1].dim(1), y),
        Memory.address(inputs[0]),
        Memory.address(inputs[1]),
        bias(inputs),
        Memory.address(y));
    if (inputs.length > 2 && inputs[2].shape().rank() == 2) {
      Elementwise.add(parallel, y, Memory.address(inputs[2]), y.dim(0), 1, 1, y.dim(3));
    }
    addResidual(parallel, inputs, y);
  }

  public static void inputGradient(
      Parallel parallel, int stride, int padding, Tensor dy, Tensor weight, Tensor dx) {
    Convolution.inputGradient(
        parallel,
        form(stride, padding, dx, weight.dim(0), weight.dim(1), dy),
        Memory.address(dy),
        Memory.address(weight),
        Memory.address(dx));
  }

  public static void weightGradient(
      Parallel parallel, int stride, int padding, Tensor x, Tensor dy, Tensor dweight) {
    Convolution.weightGradient(
        parallel,
        form(stride, padding, x, dweight.dim(0), dweight.dim(1), dy),
        Memory.address(x),
        Memory.address(dy),
        Memory.address(dweight));
  }

  private static long bias(Tensor[] inputs) {
    return inputs.length > 2 && inputs[2].shape().rank() == 1 ? Memory.address(inputs[2]) : 0;
  }

  public static Convolution.Form form(int stride, int padding, Tensor x, int kh, int kw, Tensor y) {
    return new Convolution.Form(
        x.dim(0), x.dim(1), x.dim(2), x.dim(3), kh, kw, y.dim(1), y.dim(2), y.dim(3), stride,
        padding);
  }
}
