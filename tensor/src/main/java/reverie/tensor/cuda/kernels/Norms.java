// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import reverie.tensor.Tensor;
import reverie.tensor.op.GroupNorm;
import reverie.tensor.op.GroupNorm.Activation;
import reverie.tensor.op.GroupNormBackward;
import reverie.tensor.op.LayerNorm;
import reverie.tensor.op.LayerNormBackward;

/** Normalisation over groups and layers: {@code norms.cu} and {@code layers.cu}. */
final class Norms {
  private final Kernels kernels;

  Norms(Kernels kernels) {
    this.kernels = kernels;
  }

  long scratchBytes(GroupNorm norm, Tensor[] inputs) {
    return atOnce(inputs[0], norm.groups()) == null ? 2 * bytes(images(inputs[0])) : 0;
  }

  long scratchBytes(GroupNormBackward norm, Tensor[] inputs) {
    Columns atOnce = atOnce(inputs[0], norm.groups());
    return atOnce != null
        ? 2 * bytes(atOnce)
        : 2 * bytes(images(inputs[0])) + Space.aligned(8L * norm.groups() * inputs[0].dim(0));
  }

  long scratchBytes(LayerNormBackward norm, Tensor[] inputs) {
    return 2 * bytes(rows(inputs));
  }

  /** Of a number for each column of each piece. */
  private static long bytes(Columns columns) {
    return Space.aligned(4 * columns.parts() * columns.c());
  }

  /** The images [n, …, c] as matrices of pixels and channels. */
  private Columns images(Tensor x) {
    return Columns.of(kernels, x.dim(0), pixels(x), x.dim(-1));
  }

  /** The same in tiles of whole groups; null if images are too large for that. */
  private static Columns atOnce(Tensor x, int groups) {
    return Columns.ofGroups(x.dim(0), pixels(x), x.dim(-1), x.dim(-1) / groups);
  }

  private static long pixels(Tensor x) {
    long pixels = 1;
    for (int axis = 1; axis < x.shape().rank() - 1; axis++) {
      pixels *= x.dim(axis);
    }
    return pixels;
  }

  /** The rows of a layer's input as one matrix. */
  private Columns rows(Tensor[] inputs) {
    return Columns.of(kernels, 1, inputs[2].size(), inputs[0].dim(-1));
  }

  /** Threads that bring together a number for each channel of a group in each piece. */
  private static int lanes(Columns columns, int groups) {
    return Reductions.lanes(4L * columns.pieces() * (columns.c() / groups));
  }

  /**
   * Normalises groups.
   *
   * @param parameters gamma and beta
   * @param outputs y, mean and 1/√(variance+ε)
   */
  void groupNorm(
      GroupNorm norm, Source source, Tensor[] parameters, Tensor[] outputs, Space scratch) {
    Tensor like = outputs[0];
    Columns atOnce = atOnce(like, norm.groups());
    Columns columns = atOnce == null ? images(like) : atOnce;
    if (atOnce == null) {
      statistics(norm, columns, source, outputs, scratch);
    }
    Result y = Result.of(like);
    Arguments arguments = source.add(new Arguments(), atOnce != null).read(parameters[0]);
    arguments.read(parameters[1]).write(y, like.size());
    for (int i = 1; i < outputs.length; i++) {
      if (atOnce == null) {
        arguments.read(outputs[i]);
      } else {
        arguments.write(outputs[i]);
      }
    }
    arguments.int32(norm.groups()).int32(flag(norm.activation())).float32(norm.epsilon());
    columns.add(arguments, source.isAligned() && y.isAligned());
    String kernel = atOnce == null ? "group_norm" : "group_norm_at_once";
    kernels.launch(kernel, columns.blocks(), arguments);
  }

  private void statistics(
      GroupNorm norm, Columns columns, Source source, Tensor[] outputs, Space scratch) {
    long means = scratch.take(bytes(columns));
    long deviations = scratch.take(bytes(columns));
    long bytes = 4 * columns.parts() * columns.c();
    Arguments moments = source.add(new Arguments(), true);
    moments.write(means, bytes).write(deviations, bytes);
    kernels.launch("channel_moments", columns.blocks(), columns.add(moments, source.isAligned()));

    int groups = norm.groups();
    int lanes = lanes(columns, groups);
    Arguments arguments = new Arguments().read(means, bytes).read(deviations, bytes);
    arguments.write(outputs[1]).write(outputs[2]);
    arguments.int64(columns.matrices()).int64(columns.rows()).int64(columns.piece());
    arguments.int32(columns.c()).int32(groups).int32(columns.pieces()).int32(lanes);
    kernels.launch(
        "group_statistics",
        kernels.blocks(columns.matrices() * groups * lanes),
        arguments.float32(norm.epsilon()));
  }

  private static int flag(Activation activation) {
    return switch (activation) {
      case NONE -> 0;
      case SILU -> 1;
    };
  }

  void groupNormBackward(GroupNormBackward norm, Tensor[] inputs, Tensor[] outputs, Space scratch) {
    int groups = norm.groups();
    Columns atOnce = atOnce(inputs[0], groups);
    Columns columns = atOnce == null ? images(inputs[0]) : atOnce;
    long half = 4 * columns.parts() * columns.c();
    long sums = scratch.take(2 * half);
    long products = sums + half;
    Result dx = Result.first(outputs, 3);
    long size = inputs[0].size();
    if (atOnce != null) {
      Arguments all = read(inputs).pointer(0).write(dx, size);
      all.write(sums, half).write(products, half);
      kernels.launch(
          "group_norm_gradient_at_once", columns.blocks(), add(norm, columns, inputs, dx, all));
    } else {
      long pairs = 8L * columns.matrices() * groups;
      long means = scratch.take(pairs);
      Arguments first = read(inputs).pointer(means).pointer(0).pointer(0);
      first.write(sums, half).write(products, half);
      kernels.launch(
          "group_norm_gradient_sums", columns.blocks(), add(norm, columns, inputs, dx, first));
      int lanes = lanes(columns, groups);
      Arguments both = new Arguments().read(inputs[1]).read(sums, half).read(products, half);
      both.write(means, pairs).int64(columns.matrices()).int64(columns.rows());
      both.int32(columns.c()).int32(groups).int32(columns.pieces()).int32(lanes);
      kernels.launch(
          "group_norm_gradient_means", kernels.blocks(columns.matrices() * groups * lanes), both);
      Arguments last = read(inputs).read(means, pairs).write(dx, size);
      last.pointer(sums).pointer(products);
      kernels.launch("group_norm_gradient", columns.blocks(), add(norm, columns, inputs, dx, last));
    }
    parameters(columns, sums, outputs);
  }

  private static Arguments read(Tensor[] inputs) {
    Arguments arguments = new Arguments();
    for (Tensor input : inputs) {
      arguments.read(input);
    }
    return arguments;
  }

  private static Arguments add(
      GroupNormBackward norm, Columns columns, Tensor[] inputs, Result dx, Arguments arguments) {
    arguments.int32(norm.groups()).int32(flag(norm.activation()));
    boolean aligned = aligned(columns.c(), inputs[0], inputs[5]) && dx.isAligned();
    return columns.add(arguments, aligned);
  }

  /** dgamma and dbeta: sums[parts, c] of their two kinds brought together. */
  private void parameters(Columns columns, long sums, Tensor[] outputs) {
    Columns.whole(2, columns.parts(), columns.c())
        .reduce(kernels, "sum", sums, address(outputs[2]), address(outputs[1]));
  }

  /** Normalises rows; see {@link #groupNorm}. */
  void layerNorm(LayerNorm norm, Source source, Tensor[] parameters, Tensor[] outputs) {
    Result y = Result.of(outputs[0]);
    int c = outputs[0].dim(-1);
    long rows = outputs[1].size();
    int lanes = Reductions.lanes(c);
    Arguments arguments = source.add(new Arguments(), true).read(parameters[0]);
    arguments.read(parameters[1]).write(y, rows * c).write(outputs[1]).write(outputs[2]);
    boolean aligned =
        aligned(c, parameters[0], parameters[1]) && source.isAligned() && y.isAligned();
    arguments.int64(rows).int32(c).int32(lanes).int32(aligned ? 1 : 0).float32(norm.epsilon());
    kernels.launch("layer_norm", kernels.blocks(rows * lanes), arguments);
  }

  /** Whether four of c elements of a row can be read and written at once. */
  private static boolean aligned(int c, Tensor... rows) {
    boolean aligned = c % 4 == 0;
    for (Tensor x : rows) {
      aligned &= address(x) % 16 == 0;
    }
    return aligned;
  }

  void layerNormBackward(Tensor[] inputs, Tensor[] outputs, Space scratch) {
    Tensor x = inputs[0];
    Tensor dy = inputs[4];
    Columns columns = rows(inputs);
    int lanes = Reductions.lanes(columns.c());
    Result dx = Result.first(outputs, 3);
    Arguments gradient = read(inputs).write(dx, x.size());
    gradient.int64(columns.rows()).int32(columns.c()).int32(lanes);
    gradient.int32(aligned(columns.c(), x, inputs[1], dy) && dx.isAligned() ? 1 : 0);
    kernels.launch("layer_norm_gradient", kernels.blocks(columns.rows() * lanes), gradient);

    long half = 4 * columns.parts() * columns.c();
    long sums = scratch.take(2 * half);
    Arguments both = new Arguments().read(x).read(inputs[2]).read(inputs[3]).read(dy);
    both.write(sums, half).write(sums + half, half);
    columns.add(both, address(x), address(dy));
    kernels.launch("layer_norm_gradient_sums", columns.blocks(), both);
    parameters(columns, sums, outputs);
  }
}
