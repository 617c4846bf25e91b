// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.AttentionKernels;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;

/** Attention and its gradient: {@code attention.c}. */
final class NativeAttention implements AttentionKernels {
  /** As in C: queries of a block on the way forward. */
  private static final int QUERIES = 256;

  private final Kernels kernels;

  NativeAttention(Kernels kernels) {
    this.kernels = kernels;
  }

  @Override
  public void forward(Parallel parallel, Attention op, Tensor[] inputs, Tensor[] outputs) {
    long q = address(inputs[0]);
    long k = address(inputs[1]);
    long v = address(inputs[2]);
    long y = address(outputs[0]);
    long logSumExp = address(outputs[1]);
    long tq = inputs[0].dim(1);
    long tk = inputs[1].dim(1);
    long heads = op.heads();
    long d = inputs[0].dim(2) / heads;
    long dv = inputs[2].dim(2) / heads;
    float scale = (float) op.scale();
    long blocks = (tq + QUERIES - 1) / QUERIES;
    parallel.parallelFor(
        Math.toIntExact(inputs[0].dim(0) * heads * blocks),
        block -> {
          try (Scratch scratch = Scratch.frame()) {
            kernels.attention.run(
                q,
                k,
                v,
                y,
                logSumExp,
                tq,
                tk,
                heads,
                d,
                dv,
                scale,
                block,
                scratch.floats(321 * d + 320 * dv + 2560));
          }
        });
  }

  @Override
  public void backward(Parallel parallel, AttentionBackward op, Tensor[] inputs, Tensor[] outputs) {
    long q = address(inputs[0]);
    long k = address(inputs[1]);
    long v = address(inputs[2]);
    long y = address(inputs[3]);
    long logSumExp = address(inputs[4]);
    long dy = address(inputs[5]);
    long dq = address(outputs[0]);
    long dk = address(outputs[1]);
    long dv = address(outputs[2]);
    long tq = inputs[0].dim(1);
    long tk = inputs[1].dim(1);
    long heads = op.heads();
    long depth = inputs[0].dim(2) / heads;
    long valueDepth = inputs[2].dim(2) / heads;
    float scale = (float) op.scale();
    parallel.parallelFor(
        Math.toIntExact(inputs[0].dim(0) * heads),
        block -> {
          try (Scratch scratch = Scratch.frame()) {
            kernels.attentionBackward.run(
                q,
                k,
                v,
                y,
                logSumExp,
                dy,
                dq,
                dk,
                dv,
                tq,
                tk,
                heads,
                depth,
                valueDepth,
                scale,
                block,
                scratch.floats(128 * (4 * depth + 3 * valueDepth + 90)));
          }
        });
  }
}
