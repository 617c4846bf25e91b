// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.GateKernels;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Geglu;
import reverie.tensor.op.GegluBackward;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.SoftmaxBackward;

/** Gated GELU and softmax, and their gradients: {@code elements.c}, {@code maps.c}. */
final class NativeGates implements GateKernels {
  /** Elements of a task. */
  private static final long TASK = 1 << 14;

  private final Kernels kernels;

  NativeGates(Kernels kernels) {
    this.kernels = kernels;
  }

  private static void rows(Parallel parallel, Tensor tensor, Tasks body) {
    long c = tensor.dim(-1);
    Tasks.of(parallel, tensor.shape().rows(), Math.max(1, TASK / Math.max(1, c)), body);
  }

  @Override
  public void geglu(Parallel parallel, Geglu op, Tensor[] inputs, Tensor[] outputs) {
    long x = address(inputs[0]);
    long y = address(outputs[0]);
    long c = outputs[0].dim(-1);
    rows(
        parallel,
        outputs[0],
        (first, end) -> geglu(x + 8 * first * c, y + 4 * first * c, end - first, c));
  }

  /** Some rows of 2c numbers. */
  void geglu(long x, long y, long rows, long c) {
    kernels.geglu.run(x, y, 0, rows, c);
  }

  @Override
  public void gegluBackward(
      Parallel parallel, GegluBackward op, Tensor[] inputs, Tensor[] outputs) {
    long x = address(inputs[0]);
    long dy = address(inputs[1]);
    long dx = address(outputs[0]);
    long c = inputs[1].dim(-1);
    rows(
        parallel,
        inputs[1],
        (first, end) -> {
          long at = 8 * first * c;
          gegluBackward(x + at, dy + 4 * first * c, dx + at, 0, end - first, c);
        });
  }

  /** The gradient dx for some rows, and y again unless its address is 0. */
  void gegluBackward(long x, long dy, long dx, long y, long rows, long c) {
    kernels.gegluBackward.run(x, dy, dx, y, 0, rows, c);
  }

  @Override
  public void softmax(Parallel parallel, Softmax op, Tensor[] inputs, Tensor[] outputs) {
    long x = address(inputs[0]);
    long y = address(outputs[0]);
    long c = outputs[0].dim(-1);
    rows(parallel, outputs[0], (first, end) -> kernels.softmax.run(x, y, first, end, c));
  }

  @Override
  public void softmaxBackward(
      Parallel parallel, SoftmaxBackward op, Tensor[] inputs, Tensor[] outputs) {
    long y = address(inputs[0]);
    long dy = address(inputs[1]);
    long dx = address(outputs[0]);
    long c = outputs[0].dim(-1);
    rows(
        parallel,
        outputs[0],
        (first, end) -> kernels.softmaxBackward.run(y, dy, dx, first, end, c));
  }
}
