// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import java.lang.invoke.MethodHandle;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.simd.Fusions;
import reverie.tensor.cpu.simd.GroupNorms;
import reverie.tensor.cpu.simd.Reductions;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;

/**
 * Layer and group normalisation and their gradients: {@code layer_norm.c}, {@code group_norm.c}.
 */
public final class NativeNorms {
  /** Rows of a piece of work of layer normalisation. */
  private static final int ROWS = 256;

  private final MethodHandle layerNorm;
  private final MethodHandle layerNormBackward;
  private final MethodHandle groupNorm;
  private final MethodHandle groupNormBackward;

  public NativeNorms(NativeLibrary library) {
    layerNorm = library.function("layer_norm", "pppppplllf");
    layerNormBackward = library.function("layer_norm_backward", "ppppppplll");
    groupNorm = library.function("group_norm", "ppppppllllfip");
    groupNormBackward = library.function("group_norm_backward", "ppppppppllllip");
  }

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
    parallel.forEach(
        Math.toIntExact((rows + ROWS - 1) / ROWS),
        chunk -> {
          long first = (long) chunk * ROWS;
          long end = Math.min(rows, first + ROWS);
          try {
            layerNorm.invokeExact(x, gamma, beta, y, mean, rstd, first, end, c, epsilon);
          } catch (Throwable e) {
            throw NativeLibrary.failure(e);
          }
        });
  }

  public void layerNormBackward(Parallel parallel, Tensor[] inputs, Tensor[] outputs) {
    long x = address(inputs[0]);
    long gamma = address(inputs[1]);
    long mean = address(inputs[2]);
    long rstd = address(inputs[3]);
    long dy = address(inputs[4]);
    long dx = address(outputs[0]);
    long rows = inputs[2].size();
    int c = inputs[0].dim(-1);
    int chunks = Math.toIntExact((rows + ROWS - 1) / ROWS);
    try (Scratch scratch = Scratch.frame()) {
      long sums = scratch.floats(2L * chunks * c);
      parallel.forEach(
          chunks,
          chunk -> {
            long first = (long) chunk * ROWS;
            long end = Math.min(rows, first + ROWS);
            long part = sums + 8L * chunk * c;
            try {
              layerNormBackward.invokeExact(
                  x, gamma, mean, rstd, dy, dx, part, first, end, (long) c);
            } catch (Throwable e) {
              throw NativeLibrary.failure(e);
            }
          });
      Reductions.pairs(parallel, sums, chunks, c, address(outputs[2]), address(outputs[1]));
    }
  }

  public void groupNorm(Parallel parallel, GroupNorm op, Tensor[] inputs, Tensor[] outputs) {
    long x = address(inputs[0]);
    long gamma = address(inputs[1]);
    long beta = address(inputs[2]);
    long y = address(outputs[0]);
    long mean = address(outputs[1]);
    long rstd = address(outputs[2]);
    GroupNorms.Form f = Fusions.form(inputs[0], op.groups());
    long pixels = f.pixels();
    long c = f.c();
    long groups = f.groups();
    float epsilon = (float) op.epsilon();
    int silu = op.activation() == GroupNorm.Activation.SILU ? 1 : 0;
    parallel.forEach(
        f.n(),
        image -> {
          try (Scratch scratch = Scratch.frame()) {
            long spare = scratch.floats(4 * c);
            try {
              groupNorm.invokeExact(
                  x,
                  gamma,
                  beta,
                  y,
                  mean,
                  rstd,
                  (long) image,
                  pixels,
                  c,
                  groups,
                  epsilon,
                  silu,
                  spare);
            } catch (Throwable e) {
              throw NativeLibrary.failure(e);
            }
          }
        });
  }

  public void groupNormBackward(
      Parallel parallel, GroupNormBackward op, Tensor[] inputs, Tensor[] outputs) {
    long x = address(inputs[0]);
    long gamma = address(inputs[1]);
    long beta = address(inputs[2]);
    long mean = address(inputs[3]);
    long rstd = address(inputs[4]);
    long dy = address(inputs[5]);
    long dx = address(outputs[0]);
    GroupNorms.Form f = Fusions.form(inputs[0], op.groups());
    long pixels = f.pixels();
    long c = f.c();
    long groups = f.groups();
    int silu = op.activation() == GroupNorm.Activation.SILU ? 1 : 0;
    try (Scratch shared = Scratch.frame()) {
      long sums = shared.floats(2L * f.n() * c);
      parallel.forEach(
          f.n(),
          image -> {
            try (Scratch scratch = Scratch.frame()) {
              long spare = scratch.floats(9 * c);
              long part = sums + 8L * image * c;
              try {
                groupNormBackward.invokeExact(
                    x,
                    gamma,
                    beta,
                    mean,
                    rstd,
                    dy,
                    dx,
                    part,
                    (long) image,
                    pixels,
                    c,
                    groups,
                    silu,
                    spare);
              } catch (Throwable e) {
                throw NativeLibrary.failure(e);
              }
            }
          });
      Reductions.pairs(parallel, sums, f.n(), f.c(), address(outputs[2]), address(outputs[1]));
    }
  }
}
