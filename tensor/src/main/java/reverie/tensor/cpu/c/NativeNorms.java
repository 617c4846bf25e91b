// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.GroupShape;
import reverie.tensor.cpu.kernel.NormKernels;
import reverie.tensor.cpu.kernel.Reductions;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.LayerNormBackward;

/**
 * Layer and group normalisation and their gradients: {@code layer_norm.c}, {@code group_norm.c}.
 */
final class NativeNorms implements NormKernels {
  /** Rows of a task of layer normalisation. */
  private static final int ROWS = 256;

  private final Kernels kernels;

  NativeNorms(Kernels kernels) {
    this.kernels = kernels;
  }

  @Override
  public boolean fuses(GroupNorm.Activation activation) {
    return switch (activation) {
      case NONE, SILU -> true;
    };
  }

  @Override
  public void layerNorm(Parallel parallel, LayerNorm op, Tensor[] inputs, Tensor[] outputs) {
    long x = address(inputs[0]);
    long gamma = address(inputs[1]);
    long beta = address(inputs[2]);
    long y = address(outputs[0]);
    long mean = address(outputs[1]);
    long rstd = address(outputs[2]);
    long rows = outputs[1].size();
    long c = inputs[0].dim(-1);
    float epsilon = (float) op.epsilon();
    parallel.parallelFor(
        Math.toIntExact((rows + ROWS - 1) / ROWS),
        task -> {
          long first = (long) task * ROWS;
          long end = Math.min(rows, first + ROWS);
          kernels.layerNorm.run(x, gamma, beta, y, mean, rstd, first, end, c, epsilon);
        });
  }

  @Override
  public void layerNormBackward(
      Parallel parallel, LayerNormBackward op, Tensor[] inputs, Tensor[] outputs) {
    long x = address(inputs[0]);
    long gamma = address(inputs[1]);
    long mean = address(inputs[2]);
    long rstd = address(inputs[3]);
    long dy = address(inputs[4]);
    long dx = address(outputs[0]);
    long rows = inputs[2].size();
    int c = inputs[0].dim(-1);
    int tasks = Math.toIntExact((rows + ROWS - 1) / ROWS);
    try (Scratch scratch = Scratch.frame()) {
      long sums = scratch.floats(2L * tasks * c);
      parallel.parallelFor(
          tasks,
          task -> {
            long first = (long) task * ROWS;
            long end = Math.min(rows, first + ROWS);
            long part = sums + 8L * task * c;
            kernels.layerNormBackward.run(x, gamma, mean, rstd, dy, dx, part, first, end, (long) c);
          });
      Reductions.pairs(parallel, sums, tasks, c, address(outputs[2]), address(outputs[1]));
    }
  }

  @Override
  public void groupNorm(Parallel parallel, GroupNorm op, Tensor[] inputs, Tensor[] outputs) {
    long x = address(inputs[0]);
    long gamma = address(inputs[1]);
    long beta = address(inputs[2]);
    long y = address(outputs[0]);
    long mean = address(outputs[1]);
    long rstd = address(outputs[2]);
    GroupShape f = GroupShape.of(inputs[0], op.groups());
    long pixels = f.pixels();
    long c = f.c();
    long groups = f.groups();
    float epsilon = (float) op.epsilon();
    int silu = op.activation() == GroupNorm.Activation.SILU ? 1 : 0;
    parallel.parallelFor(
        f.n(),
        image -> {
          try (Scratch scratch = Scratch.frame()) {
            long spare = scratch.floats(4 * c);
            kernels.groupNorm.run(
                x, gamma, beta, y, mean, rstd, image, pixels, c, groups, epsilon, silu, spare);
          }
        });
  }

  @Override
  public void groupNormBackward(
      Parallel parallel, GroupNormBackward op, Tensor[] inputs, Tensor[] outputs) {
    long x = address(inputs[0]);
    long gamma = address(inputs[1]);
    long beta = address(inputs[2]);
    long mean = address(inputs[3]);
    long rstd = address(inputs[4]);
    long dy = address(inputs[5]);
    long dx = address(outputs[0]);
    GroupShape f = GroupShape.of(inputs[0], op.groups());
    long pixels = f.pixels();
    long c = f.c();
    long groups = f.groups();
    int silu = op.activation() == GroupNorm.Activation.SILU ? 1 : 0;
    try (Scratch shared = Scratch.frame()) {
      long sums = shared.floats(2L * f.n() * c);
      parallel.parallelFor(
          f.n(),
          image -> {
            try (Scratch scratch = Scratch.frame()) {
              long spare = scratch.floats(9 * c);
              long part = sums + 8L * image * c;
              kernels.groupNormBackward.run(
                  x, gamma, beta, mean, rstd, dy, dx, part, image, pixels, c, groups, silu, spare);
            }
          });
      Reductions.pairs(parallel, sums, f.n(), f.c(), address(outputs[2]), address(outputs[1]));
    }
  }
}
