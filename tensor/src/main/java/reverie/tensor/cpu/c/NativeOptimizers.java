// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.OptimizerKernels;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Lerp;

/** Steps of optimizers and moving averages: {@code updates.c}. */
final class NativeOptimizers implements OptimizerKernels {
  private static final long TASK = 1 << 14;

  private final Kernels kernels;

  NativeOptimizers(Kernels kernels) {
    this.kernels = kernels;
  }

  private static int tasks(long size) {
    return Math.toIntExact((size + TASK - 1) / TASK);
  }

  @Override
  public void adamW(Parallel parallel, AdamW op, Tensor[] inputs, Tensor[] outputs) {
    long p = address(inputs[0]);
    long g = address(inputs[1]);
    long m = address(inputs[2]);
    long v = address(inputs[3]);
    long control = address(inputs[4]);
    long p1 = address(outputs[0]);
    long m1 = address(outputs[1]);
    long v1 = address(outputs[2]);
    long size = inputs[0].size();
    float beta1 = (float) op.beta1();
    float beta2 = (float) op.beta2();
    float rest1 = (float) (1 - op.beta1());
    float rest2 = (float) (1 - op.beta2());
    float epsilon = (float) op.epsilon();
    float decay = (float) op.weightDecay();
    parallel.parallelFor(
        tasks(size),
        task -> {
          long first = task * TASK;
          long end = Math.min(size, first + TASK);
          kernels.adamW.run(
              p, g, m, v, control, p1, m1, v1, first, end, beta1, beta2, rest1, rest2, epsilon,
              decay);
        });
  }

  @Override
  public void lerp(Parallel parallel, Lerp op, Tensor[] inputs, Tensor[] outputs) {
    long a = address(inputs[0]);
    long b = address(inputs[1]);
    long weight = address(inputs[2]);
    long out = address(outputs[0]);
    long size = outputs[0].size();
    parallel.parallelFor(
        tasks(size),
        task -> {
          long first = task * TASK;
          kernels.lerp.run(a, b, weight, out, first, Math.min(size, first + TASK));
        });
  }
}
