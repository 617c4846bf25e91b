// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.address;
import static reverie.tensor.cpu.memory.Memory.get;
import static reverie.tensor.cpu.memory.Memory.set;
import static reverie.tensor.cpu.simd.Vectors.BYTES;
import static reverie.tensor.cpu.simd.Vectors.SPECIES;
import static reverie.tensor.cpu.simd.Vectors.WIDTH;
import static reverie.tensor.cpu.simd.Vectors.load;
import static reverie.tensor.cpu.simd.Vectors.store;

import jdk.incubator.vector.FloatVector;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.AttentionKernels;
import reverie.tensor.cpu.kernel.AttentionShape;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Attention;
import reverie.tensor.op.AttentionBackward;

/**
 * Attention and its gradient, head by head: scores live in working memory that fits the
 * second-level cache and are never written to a tensor (Dao et al. 2022).
 *
 * <p>Scores are held transposed, keys down and queries across, with queries filled up to whole
 * vectors. So softmax needs no sums within a vector, narrow heads use whole vectors too, and the
 * scores are read as they lie by the next product.
 */
final class SimdAttention implements AttentionKernels {
  /** Queries whose scores are held at once. */
  private static final int QUERIES = 64;

  @Override
  public void forward(Parallel parallel, Attention op, Tensor[] inputs, Tensor[] outputs) {
    AttentionShape f = AttentionShape.of(inputs[0], inputs[1], inputs[2], op.heads(), op.scale());
    long q = address(inputs[0]);
    long k = address(inputs[1]);
    long v = address(inputs[2]);
    long y = address(outputs[0]);
    long logSumExp = address(outputs[1]);
    int blocks = (f.tq() + QUERIES - 1) / QUERIES;
    parallel.parallelFor(
        f.b() * f.heads() * blocks,
        i -> {
          int head = i / blocks;
          int first = i % blocks * QUERIES;
          block(
              f,
              Math.min(QUERIES, f.tq() - first),
              q + f.query(head) + first * f.row(),
              k + f.key(head),
              v + f.value(head),
              y + f.result(head) + first * f.valueRow(),
              logSumExp + 4 * ((long) head * f.tq() + first));
        });
  }

  private static void block(
      AttentionShape f, int count, long q, long k, long v, long y, long logSumExp) {
    try (Scratch scratch = Scratch.frame()) {
      int lanes = (count + WIDTH - 1) / WIDTH * WIDTH;
      long scores = scratch.floats((long) f.tk() * lanes);
      long logs = scratch.floats(lanes);
      long totals = scratch.floats(lanes);
      long result = scratch.floats((long) f.dv() * lanes);
      Right queries = transposed(scratch, q, f.row(), count, f.d());
      product(k, f.row(), 4, queries, f.tk(), lanes, f.d(), scores, 4L * lanes);
      for (int i = 0; i < lanes; i += WIDTH) {
        softmax(scores + 4L * i, 4L * lanes, f.tk(), f.scale(), totals + 4L * i, logs + 4L * i);
      }
      Memory.copy(logs, logSumExp, count);
      Right weights = Right.inPlace(scores, 4L * lanes);
      product(v, 4, f.valueRow(), weights, f.dv(), lanes, f.tk(), result, 4L * lanes);
      for (int i = 0; i < lanes; i += WIDTH) {
        divide(result + 4L * i, 4L * lanes, f.dv(), totals + 4L * i);
      }
      transpose(result, lanes, f.dv(), count, y, f.valueRow());
    }
  }

  /** Down a column of vectors: x = exp(scale·x − largest), its sum, and log Σ exp(scale·x). */
  private static void softmax(long x, long rowBytes, int rows, float scale, long total, long log) {
    FloatVector even = load(x).mul(scale);
    FloatVector odd = even;
    int r = 1;
    for (; r < rows - 1; r += 2) {
      even = even.max(load(x + r * rowBytes).mul(scale));
      odd = odd.max(load(x + (r + 1) * rowBytes).mul(scale));
    }
    if (r < rows) {
      even = even.max(load(x + r * rowBytes).mul(scale));
    }
    FloatVector largest = even.max(odd);
    FloatVector sum = FloatVector.zero(SPECIES);
    for (r = 0; r < rows; r++) {
      long at = x + r * rowBytes;
      FloatVector e = VectorMath.exp(load(at).mul(scale).sub(largest));
      store(e, at);
      sum = sum.add(e);
    }
    store(sum, total);
    store(VectorMath.log(sum).add(largest), log);
  }

  private static void divide(long x, long rowBytes, int rows, long by) {
    FloatVector one = FloatVector.broadcast(SPECIES, 1);
    FloatVector factor = one.div(load(by));
    for (int r = 0; r < rows; r++) {
      store(load(x + r * rowBytes).mul(factor), x + r * rowBytes);
    }
  }

  /** What the gradient reads and writes. */
  private record Gradient(
      long q, long k, long v, long y, long logSumExp, long dy, long dq, long dk, long dv) {}

  @Override
  public void backward(Parallel parallel, AttentionBackward op, Tensor[] inputs, Tensor[] outputs) {
    AttentionShape f = AttentionShape.of(inputs[0], inputs[1], inputs[2], op.heads(), op.scale());
    Gradient g =
        new Gradient(
            address(inputs[0]),
            address(inputs[1]),
            address(inputs[2]),
            address(inputs[3]),
            address(inputs[4]),
            address(inputs[5]),
            address(outputs[0]),
            address(outputs[1]),
            address(outputs[2]));
    parallel.parallelFor(
        f.b() * f.heads(),
        head ->
            head(
                f,
                new Gradient(
                    g.q + f.query(head),
                    g.k + f.key(head),
                    g.v + f.value(head),
                    g.y + f.result(head),
                    g.logSumExp + 4L * head * f.tq(),
                    g.dy + f.result(head),
                    g.dq + f.query(head),
                    g.dk + f.key(head),
                    g.dv + f.value(head))));
  }

  private static void head(AttentionShape f, Gradient g) {
    try (Scratch scratch = Scratch.frame()) {
      int lanes = (f.tq() + WIDTH - 1) / WIDTH * WIDTH;
      long p = scratch.floats((long) f.tk() * lanes);
      long ds = scratch.floats((long) f.tk() * lanes);
      long row = 4L * lanes;
      Right queries = transposed(scratch, g.q, f.row(), f.tq(), f.d());
      product(g.k, f.row(), 4, queries, f.tk(), lanes, f.d(), p, row);
      Right gradients = transposed(scratch, g.dy, f.valueRow(), f.tq(), f.dv());
      product(g.v, f.valueRow(), 4, gradients, f.tk(), lanes, f.dv(), ds, row);
      long logs = scratch.floats(lanes);
      long dots = scratch.floats(lanes);
      Memory.zero(logs, 4L * lanes);
      Memory.zero(dots, 4L * lanes);
      Memory.copy(g.logSumExp, logs, f.tq());
      for (int i = 0; i < f.tq(); i++) {
        set(dots + 4L * i, Softmaxes.dot(g.y + i * f.valueRow(), g.dy + i * f.valueRow(), f.dv()));
      }
      for (int i = 0; i < lanes; i += WIDTH) {
        long at = 4L * i;
        scores(p + at, ds + at, 4L * lanes, f.tk(), f.scale(), logs + at, dots + at);
      }
      Right dy = rows(scratch, g.dy, f.valueRow(), f.tq(), f.dv());
      product(p, row, 4, dy, f.tk(), f.dv(), f.tq(), g.dv, f.valueRow());
      Right q = rows(scratch, g.q, f.row(), f.tq(), f.d());
      product(ds, row, 4, q, f.tk(), f.d(), f.tq(), g.dk, f.row());
      long dq = scratch.floats((long) f.d() * lanes);
      product(g.k, 4, f.row(), Right.inPlace(ds, row), f.d(), lanes, f.tk(), dq, row);
      transpose(dq, lanes, f.d(), f.tq(), g.dq, f.row());
    }
  }

  /** Down a column of vectors: p = exp(scale·p − log) and ds = scale·p·(ds − dot). */
  private static void scores(
      long p, long ds, long rowBytes, int rows, float scale, long log, long dot) {
    FloatVector logs = load(log);
    FloatVector dots = load(dot);
    for (int r = 0; r < rows; r++) {
      long at = r * rowBytes;
      FloatVector e = VectorMath.exp(load(p + at).mul(scale).sub(logs));
      store(e, p + at);
      store(load(ds + at).sub(dots).mul(e).mul(scale), ds + at);
    }
  }

  private static void product(
      long a, long aRow, long aStep, Right right, int m, int n, int k, long c, long cRow) {
    try (Scratch scratch = Scratch.frame()) {
      Left left = Left.matrix(scratch, a, aRow, aStep, m, k, right.step());
      Result result = new Result(c, cRow, 0, m, n);
      long spare = scratch.bytes(2 * BYTES * MicroKernel.ROWS);
      result.compute(left, right, 0, result.tiles(), 0, Right.panels(n), spare);
    }
  }

  /** A k × n matrix as B. */
  private static Right rows(Scratch scratch, long address, long rowBytes, int k, int n) {
    return Right.inPlace(rowBytes, 4, n)
        ? Right.inPlace(address, rowBytes)
        : packed(scratch, address, rowBytes, 4, k, n);
  }

  /** The transpose of an n × k matrix as B. */
  private static Right transposed(Scratch scratch, long address, long rowBytes, int n, int k) {
    return packed(scratch, address, 4, rowBytes, k, n);
  }

  private static Right packed(
      Scratch scratch, long address, long rowBytes, long columnBytes, int k, int n) {
    Right right = Right.packed(scratch.bytes(Right.packedBytes(k, n)), k);
    for (int panel = 0; panel < Right.panels(n); panel++) {
      right.pack(panel, address, rowBytes, columnBytes, 0, k, n);
    }
    return right;
  }

  /** The transpose of the first columns of a matrix with longer rows. */
  private static void transpose(
      long from, int fromRow, int rows, int columns, long to, long toRowBytes) {
    for (int row = 0; row < rows; row++) {
      long source = from + 4L * row * fromRow;
      long target = to + 4L * row;
      for (int column = 0; column < columns; column++) {
        set(target + column * toRowBytes, get(source + 4L * column));
      }
    }
  }
}
