// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import java.lang.invoke.MethodHandle;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;

/** Attention and its gradient: {@code attention.c}. */
public final class NativeAttention {
  /** As in C: queries of a chunk on the way forward. */
  private static final int QUERIES = 256;

  private final MethodHandle forward;
  private final MethodHandle backward;

  public NativeAttention(NativeLibrary library) {
    forward = library.function("attention", "ppppplllllflp");
    backward = library.function("attention_backward", "ppppppppplllllflp");
  }

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
    parallel.forEach(
        Math.toIntExact(inputs[0].dim(0) * heads * blocks),
        chunk -> {
          try (Scratch scratch = Scratch.frame()) {
            try {
              forward.invokeExact(
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
                  (long) chunk,
                  scratch.floats(33 * d + 32 * (dv + 64)));
            } catch (Throwable e) {
              throw NativeLibrary.failure(e);
            }
          }
        });
  }

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
    parallel.forEach(
        Math.toIntExact(inputs[0].dim(0) * heads),
        chunk -> {
          try (Scratch scratch = Scratch.frame()) {
            try {
              backward.invokeExact(
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
                  (long) chunk,
                  scratch.floats(128 * (3 * depth + 2 * valueDepth + 34)));
            } catch (Throwable e) {
              throw NativeLibrary.failure(e);
            }
          }
        });
  }
}
