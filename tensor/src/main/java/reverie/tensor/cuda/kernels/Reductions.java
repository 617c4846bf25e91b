// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.kernels;

import static reverie.tensor.cuda.driver.Pool.address;

import java.util.ArrayList;
import java.util.List;
import reverie.tensor.Shape;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.op.GaussianLogProb;
import reverie.tensor.op.Reduce;

/** Sums and largest elements, and what is made of rows: {@code reductions.cu}. */
final class Reductions {
  /** Elements of a row that a warp goes through; a block if there are more. */
  private static final int MAX_WARP_ROW = 1024;

  /** Elements that a block has at least when a row is cut into pieces. */
  private static final int MIN_PIECE = 4096;

  private static final int WARP = 32;

  private final Kernels kernels;

  Reductions(Kernels kernels) {
    this.kernels = kernels;
  }

  long scratchBytes(Reduce reduce, Tensor[] inputs) {
    return scratchBytes(steps(reduce, inputs[0].shape()));
  }

  long scratchBytes(GaussianLogProb op, Tensor[] inputs) {
    return Space.aligned(4 * samples(inputs[0]).results());
  }

  long normScratchBytes(Tensor x) {
    return Space.aligned(4 * row(1, x.size()).results());
  }

  /** y[outer, pieces, inner] from x[outer, count, inner]; columns if inner is not 1. */
  private record Step(long outer, long count, int inner, long piece, int pieces, Columns columns) {
    long results() {
      return outer * pieces * inner;
    }
  }

  /**
   * The axes, neighbours that are both reduced or both kept as one, are reduced one after the
   * other, the last first: what is left for later steps is small.
   */
  private List<Step> steps(Reduce reduce, Shape shape) {
    List<Step> steps = new ArrayList<>();
    boolean[] reduced = new boolean[shape.rank()];
    long results = 1;
    for (int axis : reduce.axes()) {
      reduced[axis] = true;
    }
    for (int axis = 0; axis < reduced.length; axis++) {
      results *= reduced[axis] ? 1 : shape.dim(axis);
    }
    if (shape.size() == 0) {
      rows(steps, results, 0);
      return steps;
    }
    long outer = shape.size();
    long inner = 1;
    for (int axis = reduced.length - 1; axis >= 0; axis--) {
      long count = 1;
      while (axis >= 0 && (reduced[axis] || shape.dim(axis) == 1)) {
        count *= shape.dim(axis--);
      }
      outer /= count;
      if (count > 1 && inner == 1) {
        rows(steps, outer, count);
      } else if (count > 1) {
        columns(steps, outer, count, Math.toIntExact(inner));
      }
      if (axis >= 0) {
        outer /= shape.dim(axis);
        inner *= shape.dim(axis);
      }
    }
    if (steps.isEmpty()) {
      rows(steps, results, 1);
    }
    return steps;
  }

  private void rows(List<Step> steps, long outer, long count) {
    Step step = row(outer, count);
    steps.add(step);
    if (step.pieces > 1) {
      steps.add(new Step(outer, step.pieces, 1, step.pieces, 1, null));
    }
  }

  private Step row(long outer, long count) {
    long most = Math.min(count / MIN_PIECE, Columns.fullDevice(kernels) / Math.max(1, outer));
    if (most <= 1) {
      return new Step(outer, count, 1, count, 1, null);
    }
    long piece = ((count + most - 1) / most + 3) / 4 * 4;
    return new Step(outer, count, 1, piece, Math.toIntExact((count + piece - 1) / piece), null);
  }

  private void columns(List<Step> steps, long outer, long count, int inner) {
    Columns columns = Columns.of(kernels, outer, count, inner);
    int pieces = columns.pieces();
    steps.add(new Step(outer, count, inner, columns.piece(), pieces, columns));
    if (pieces > 1) {
      steps.add(new Step(outer, pieces, inner, pieces, 1, Columns.whole(outer, pieces, inner)));
    }
  }

  private static long scratchBytes(List<Step> steps) {
    long bytes = 0;
    for (Step step : steps.subList(0, steps.size() - 1)) {
      bytes += Space.aligned(4 * step.results());
    }
    return bytes;
  }

  void reduce(Reduce reduce, Tensor x, Tensor y, Space scratch) {
    String kind =
        switch (reduce.kind()) {
          case MAX -> "max";
          case SUM -> "sum";
        };
    List<Step> steps = steps(reduce, x.shape());
    long from = address(x);
    for (Step step : steps) {
      boolean last = step == steps.getLast();
      long to = last ? address(y) : scratch.take(4 * step.results());
      if (step.columns == null) {
        rows(kind + "_rows", step, from, to);
      } else {
        step.columns.reduce(kernels, kind, from, to, to + 4L * step.pieces * step.inner);
      }
      from = to;
    }
  }

  private void rows(String kernel, Step step, long from, long to) {
    rows(kernel, step, from, 0, to);
  }

  private void rows(String kernel, Step step, long from, long centre, long to) {
    launch(kernel, step, add(new Arguments(), step, from, centre, to));
  }

  private static Arguments add(Arguments arguments, Step step, long from, long centre, long to) {
    long bytes = 4 * step.outer * step.count;
    arguments.read(from, bytes).read(centre, bytes).write(to, 4 * step.results());
    arguments.int64(step.outer).int64(step.count).int64(step.piece);
    return arguments.int32(step.pieces).int32(lanes(step.piece));
  }

  private void launch(String kernel, Step step, Arguments arguments) {
    kernels.launch(kernel, kernels.blocks(step.results() * lanes(step.piece)), arguments);
  }

  /** Threads that share so many elements of a row: of a warp, or all of a block. */
  static int lanes(long count) {
    if (count > MAX_WARP_ROW) {
      return Driver.THREADS;
    }
    long quads = Math.max(1, (count + 3) / 4);
    return (int) Math.min(WARP, Long.highestOneBit(2 * quads - 1));
  }

  void softmax(Tensor x, Tensor y) {
    softmax("softmax", x, null, y);
  }

  void softmaxBackward(Tensor y, Tensor dy, Tensor dx) {
    softmax("softmax_backward", y, dy, dx);
  }

  private void softmax(String kernel, Tensor x, Tensor dy, Tensor y) {
    int count = x.dim(-1);
    long rows = count == 0 ? 0 : x.size() / count;
    int lanes = lanes(count);
    Arguments arguments = new Arguments().read(x).read(dy).write(y).int64(rows);
    boolean aligned = count % 4 == 0 && (address(x) | address(y)) % 16 == 0;
    aligned &= dy == null || address(dy) % 16 == 0;
    arguments.int32(count).int32(lanes).int32(aligned ? 1 : 0);
    kernels.launch(kernel, kernels.blocks(rows * lanes), arguments);
  }

  /** y = the Euclidean norm of x. */
  void norm(Tensor x, Tensor y, Space scratch) {
    Step step = row(1, x.size());
    long bytes = 4 * step.results();
    Arguments arguments = add(new Arguments(), step, address(x), 0, scratch.take(bytes));
    launch("euclidean_norm", step, arguments.moves(bytes, 0).write(y));
  }

  /** The elements of each sample as a row. */
  private Step samples(Tensor x) {
    int n = x.dim(0);
    return row(n, n == 0 ? 0 : x.size() / n);
  }

  void gaussianLogProb(Tensor[] inputs, Tensor y, Space scratch) {
    Step step = samples(inputs[0]);
    long squares = scratch.take(4 * step.results());
    rows("squared_rows", step, address(inputs[0]), address(inputs[1]), squares);
    Arguments arguments = new Arguments().read(squares, 4 * step.results());
    arguments.read(inputs[2]).write(y);
    arguments.int64(step.outer).int64(step.count).int32(step.pieces);
    kernels.launch("gaussian_log_prob", kernels.blocks(WARP * step.outer), arguments);
  }
}
