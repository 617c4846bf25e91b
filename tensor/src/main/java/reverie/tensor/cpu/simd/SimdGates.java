// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.address;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.mask;
import static reverie.tensor.cpu.simd.Vectors.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.GateKernels;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Geglu;
import reverie.tensor.op.GegluBackward;
import reverie.tensor.op.Softmax;
import reverie.tensor.op.SoftmaxBackward;

/** The gated GELU of transformer blocks, softmax and their gradients, row by row. */
final class SimdGates implements GateKernels {
  private static final float SQRT_HALF = (float) Math.sqrt(0.5);
  private static final float DENSITY_AT_ZERO = (float) (1 / Math.sqrt(2 * Math.PI));

  @Override
  public void geglu(Parallel parallel, Geglu op, Tensor[] inputs, Tensor[] outputs) {
    int c = outputs[0].dim(-1);
    long x = address(inputs[0]);
    long y = address(outputs[0]);
    Softmaxes.rows(parallel, outputs[0], 4 * c, row -> row(x + 8L * row * c, y + 4L * row * c, c));
  }

  @Override
  public void gegluBackward(
      Parallel parallel, GegluBackward op, Tensor[] inputs, Tensor[] outputs) {
    int c = inputs[1].dim(-1);
    long x = address(inputs[0]);
    long dy = address(inputs[1]);
    long dx = address(outputs[0]);
    Softmaxes.rows(
        parallel,
        inputs[1],
        4 * c,
        row -> backwardRow(x + 8L * row * c, dy + 4L * row * c, dx + 8L * row * c, c));
  }

  @Override
  public void softmax(Parallel parallel, Softmax op, Tensor[] inputs, Tensor[] outputs) {
    int c = outputs[0].dim(-1);
    long x = address(inputs[0]);
    long y = address(outputs[0]);
    Softmaxes.rows(
        parallel, outputs[0], c, row -> Softmaxes.row(x + 4L * row * c, y + 4L * row * c, c));
  }

  @Override
  public void softmaxBackward(
      Parallel parallel, SoftmaxBackward op, Tensor[] inputs, Tensor[] outputs) {
    int c = outputs[0].dim(-1);
    long y = address(inputs[0]);
    long dy = address(inputs[1]);
    long dx = address(outputs[0]);
    Softmaxes.rows(
        parallel,
        outputs[0],
        c,
        row -> {
          long at = 4L * row * c;
          Softmaxes.backwardRow(y + at, dy + at, dx + at, c);
        });
  }

  private static void row(long x, long y, int c) {
    for (int i = 0; i < c; i += WIDTH) {
      VectorMask<Float> lanes = mask(i, c);
      FloatVector a = load(x + 4L * i, lanes);
      FloatVector b = load(x + 4L * (c + i), lanes);
      FloatVector gelu = b.mul(0.5f).mul(ErrorFunction.of(b.mul(SQRT_HALF)).add(1));
      store(a.mul(gelu), y + 4L * i, lanes);
    }
  }

  private static void backwardRow(long x, long dy, long dx, int c) {
    for (int i = 0; i < c; i += WIDTH) {
      VectorMask<Float> lanes = mask(i, c);
      FloatVector a = load(x + 4L * i, lanes);
      FloatVector b = load(x + 4L * (c + i), lanes);
      FloatVector d = load(dy + 4L * i, lanes);
      FloatVector bell = VectorMath.exp(b.mul(b).mul(-0.5f));
      FloatVector distribution = ErrorFunction.of(b.mul(SQRT_HALF), bell).add(1).mul(0.5f);
      FloatVector density = bell.mul(DENSITY_AT_ZERO);
      store(d.mul(b).mul(distribution), dx + 4L * i, lanes);
      store(d.mul(a).mul(b.mul(density).add(distribution)), dx + 4L * (c + i), lanes);
    }
  }
}
