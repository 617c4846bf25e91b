// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.mask;
import static reverie.tensor.cpu.simd.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.OptimizerKernels;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.AdamW;
import reverie.tensor.op.Lerp;

/** Steps of optimizers and moving averages, usually in place. */
final class SimdOptimizers implements OptimizerKernels {
  private static final int TASK = 1 << 14;

  @Override
  public void adamW(Parallel parallel, AdamW op, Tensor[] inputs, Tensor[] outputs) {
    long[] in = new long[5];
    for (int i = 0; i < 5; i++) {
      in[i] = Memory.address(inputs[i]);
    }
    long[] out = new long[3];
    for (int i = 0; i < 3; i++) {
      out[i] = Memory.address(outputs[i]);
    }
    int size = Math.toIntExact(inputs[0].size());
    parallel.parallelFor(
        (size + TASK - 1) / TASK,
        c -> {
          for (int i = c * TASK; i < Math.min(size, (c + 1) * TASK); i += WIDTH) {
            adamW(op, in, out, 4L * i, mask(i, size));
          }
        });
  }

  private static void adamW(AdamW op, long[] in, long[] out, long at, VectorMask<Float> lanes) {
    long control = in[4];
    FloatVector p = load(in[0] + at, lanes);
    FloatVector g = load(in[1] + at, lanes).mul(get(control + 12));
    FloatVector m =
        load(in[2] + at, lanes).mul((float) op.beta1()).add(g.mul((float) (1 - op.beta1())));
    FloatVector v =
        load(in[3] + at, lanes).mul((float) op.beta2()).add(g.mul(g).mul((float) (1 - op.beta2())));
    FloatVector denominator = v.div(get(control + 8)).sqrt().add((float) op.epsilon());
    FloatVector step =
        m.div(get(control + 4)).div(denominator).add(p.mul((float) op.weightDecay()));
    store(p.sub(step.mul(get(control))), out[0] + at, lanes);
    store(m, out[1] + at, lanes);
    store(v, out[2] + at, lanes);
  }

  @Override
  public void lerp(Parallel parallel, Lerp op, Tensor[] inputs, Tensor[] outputs) {
    long a = Memory.address(inputs[0]);
    long b = Memory.address(inputs[1]);
    long weight = Memory.address(inputs[2]);
    long out = Memory.address(outputs[0]);
    int size = Math.toIntExact(outputs[0].size());
    parallel.parallelFor(
        (size + TASK - 1) / TASK,
        c -> {
          float w = get(weight);
          for (int i = c * TASK; i < Math.min(size, (c + 1) * TASK); i += WIDTH) {
            VectorMask<Float> lanes = mask(i, size);
            FloatVector from = load(a + 4L * i, lanes);
            store(load(b + 4L * i, lanes).sub(from).mul(w).add(from), out + 4L * i, lanes);
          }
        });
  }
}
