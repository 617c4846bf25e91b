// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.Elementwise;
import reverie.tensor.cpu.kernel.GemmShape;
import reverie.tensor.cpu.kernel.MatrixKernels;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Linear;
import reverie.tensor.op.MatMul;

/** {@link Gemm} of tensors. */
final class SimdMatrices implements MatrixKernels {
  private final Elementwise elementwise;

  SimdMatrices(Elementwise elementwise) {
    this.elementwise = elementwise;
  }

  @Override
  public void linear(Parallel parallel, Linear op, Tensor[] inputs, Tensor[] outputs) {
    Tensor y = outputs[0];
    if (y.size() == 0) {
      return;
    }
    int out = inputs[1].dim(0);
    Gemm.multiply(
        parallel,
        GemmShape.linear(Math.toIntExact(y.size() / out), out, inputs[1].dim(1)),
        new long[] {address(inputs[0])},
        new long[] {address(inputs[1])},
        inputs.length > 2 ? address(inputs[2]) : 0,
        new long[] {address(y)});
    if (inputs.length > 3) {
      elementwise.add(parallel, y, address(inputs[3]), y.shape().dims());
    }
  }

  @Override
  public void matMul(Parallel parallel, MatMul op, Tensor[] inputs, Tensor[] outputs) {
    Tensor a = inputs[0];
    Tensor b = inputs[1];
    Tensor y = outputs[0];
    if (y.size() == 0) {
      return;
    }
    GemmShape shape = GemmShape.of(a, b, y);
    int batch = Math.toIntExact(y.size() / ((long) shape.m() * shape.n()));
    if (b.size() == (long) shape.k() * shape.n() && a.isContiguous()) {
      Gemm.multiply(
          parallel,
          shape.flattened(batch),
          new long[] {address(a)},
          new long[] {address(b)},
          0,
          new long[] {address(y)});
      return;
    }
    long[] c = new long[batch];
    for (int i = 0; i < batch; i++) {
      c[i] = address(y) + 4L * i * shape.m() * shape.n();
    }
    Gemm.multiply(
        parallel, shape, GemmShape.addresses(a, y, batch), GemmShape.addresses(b, y, batch), 0, c);
  }
}
