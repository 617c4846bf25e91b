// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import java.lang.invoke.MethodHandle;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.AdamW;

/** Steps of optimizers and moving averages: {@code updates.c}. */
public final class NativeUpdates {
  private static final long CHUNK = 1 << 14;

  private final MethodHandle adamw;
  private final MethodHandle lerp;

  public NativeUpdates(NativeLibrary library) {
    adamw = library.function("adamw", "ppppppppllffffff");
    lerp = library.function("lerp", "ppppll");
  }

  private static int chunks(long size) {
    return Math.toIntExact((size + CHUNK - 1) / CHUNK);
  }

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
    parallel.forEach(
        chunks(size),
        chunk -> {
          long first = chunk * CHUNK;
          long end = Math.min(size, first + CHUNK);
          try {
            adamw.invokeExact(
                p, g, m, v, control, p1, m1, v1, first, end, beta1, beta2, rest1, rest2, epsilon,
                decay);
          } catch (Throwable e) {
            throw NativeLibrary.failure(e);
          }
        });
  }

  public void lerp(Parallel parallel, Tensor[] inputs, Tensor output) {
    long a = address(inputs[0]);
    long b = address(inputs[1]);
    long weight = address(inputs[2]);
    long out = address(output);
    long size = output.size();
    parallel.forEach(
        chunks(size),
        chunk -> {
          long first = chunk * CHUNK;
          try {
            lerp.invokeExact(a, b, weight, out, first, Math.min(size, first + CHUNK));
          } catch (Throwable e) {
            throw NativeLibrary.failure(e);
          }
        });
  }
}
