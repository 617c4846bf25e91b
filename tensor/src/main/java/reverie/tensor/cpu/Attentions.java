// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import static reverie.tensor.cpu.Memory.BYTES;
import static reverie.tensor.cpu.Memory.SPECIES;
import static reverie.tensor.cpu.Memory.WIDTH;
import static reverie.tensor.cpu.Memory.get;
import static reverie.tensor.cpu.Memory.load;
import static reverie.tensor.cpu.Memory.set;
import static reverie.tensor.cpu.Memory.store;

import jdk.incubator.vector.FloatVector;

/**
 * Attention and its gradient, head by head: scores live in working memory that fits the
 * second-level cache and are never written to a tensor (Dao et al. 2022).
 *
 * <p>Scores are held transposed, keys down and queries across, with queries filled up to whole
 * vectors. So softmax needs no sums within a vector, narrow heads use whole vectors too, and the
 * scores are read as they lie by the next product.
 */
final class Attentions {
  /** Queries whose scores are held at once. */
  private static final int QUERIES = 64;

  private Attentions() {}

  /** Sizes: heads (batch included), queries, keys, width of keys and of values. */
  record Form(int b, int tq, int tk, int d, int dv, float scale) {}

  static void forward(Parallel parallel, Form f, long q, long k, long v, long y, long logSumExp) {
    int blocks = (f.tq + QUERIES - 1) / QUERIES;
    parallel.forEach(
        f.b * blocks,
        i -> {
          int head = i / blocks;
          int first = i % blocks * QUERIES;
          long row = (long) head * f.tq + first;
          block(
              f,
              Math.min(QUERIES, f.tq - first),
              q + 4 * row * f.d,
              k + 4L * head * f.tk * f.d,
              v + 4L * head * f.tk * f.dv,
              y + 4 * row * f.dv,
              logSumExp + 4 * row);
        });
  }

  private static void block(Form f, int count, long q, long k, long v, long y, long logSumExp) {
    Scratch scratch = Scratch.mine();
    long mark = scratch.mark();
    int lanes = (count + WIDTH - 1) / WIDTH * WIDTH;
    long scores = scratch.takeFloats((long) f.tk * lanes);
    long logs = scratch.takeFloats(lanes);
    long totals = scratch.takeFloats(lanes);
    long result = scratch.takeFloats((long) f.dv * lanes);
    Right queries = transposed(scratch, q, count, f.d);
    product(scratch, k, 4L * f.d, 4, queries, f.tk, lanes, f.d, scores);
    for (int i = 0; i < lanes; i += WIDTH) {
      softmax(scores + 4L * i, 4L * lanes, f.tk, f.scale, totals + 4L * i, logs + 4L * i);
    }
    Operand.copy(logs, logSumExp, count);
    product(scratch, v, 4, 4L * f.dv, Right.inPlace(scores, 4L * lanes), f.dv, lanes, f.tk, result);
    for (int i = 0; i < lanes; i += WIDTH) {
      divide(result + 4L * i, 4L * lanes, f.dv, totals + 4L * i);
    }
    transpose(result, lanes, f.dv, count, y);
    scratch.release(mark);
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

  /** What the gradient reads and writes, all contiguous. */
  record Gradient(
      long q, long k, long v, long y, long logSumExp, long dy, long dq, long dk, long dv) {}

  static void backward(Parallel parallel, Form f, Gradient g) {
    parallel.forEach(
        f.b,
        head -> {
          long queries = 4L * head * f.tq;
          long keys = 4L * head * f.tk;
          head(
              f,
              new Gradient(
                  g.q + queries * f.d,
                  g.k + keys * f.d,
                  g.v + keys * f.dv,
                  g.y + queries * f.dv,
                  g.logSumExp + queries,
                  g.dy + queries * f.dv,
                  g.dq + queries * f.d,
                  g.dk + keys * f.d,
                  g.dv + keys * f.dv));
        });
  }

  private static void head(Form f, Gradient g) {
    Scratch scratch = Scratch.mine();
    long mark = scratch.mark();
    int lanes = (f.tq + WIDTH - 1) / WIDTH * WIDTH;
    long p = scratch.takeFloats((long) f.tk * lanes);
    long ds = scratch.takeFloats((long) f.tk * lanes);
    product(scratch, g.k, 4L * f.d, 4, transposed(scratch, g.q, f.tq, f.d), f.tk, lanes, f.d, p);
    product(
        scratch, g.v, 4L * f.dv, 4, transposed(scratch, g.dy, f.tq, f.dv), f.tk, lanes, f.dv, ds);
    long logs = scratch.takeFloats(lanes);
    long dots = scratch.takeFloats(lanes);
    Memory.zero(logs, 4L * lanes);
    Memory.zero(dots, 4L * lanes);
    Operand.copy(g.logSumExp, logs, f.tq);
    for (int i = 0; i < f.tq; i++) {
      set(dots + 4L * i, Softmaxes.dot(g.y + 4L * i * f.dv, g.dy + 4L * i * f.dv, f.dv));
    }
    for (int i = 0; i < lanes; i += WIDTH) {
      long at = 4L * i;
      scores(p + at, ds + at, 4L * lanes, f.tk, f.scale, logs + at, dots + at);
    }
    product(scratch, p, 4L * lanes, 4, rows(scratch, g.dy, f.tq, f.dv), f.tk, f.dv, f.tq, g.dv);
    product(scratch, ds, 4L * lanes, 4, rows(scratch, g.q, f.tq, f.d), f.tk, f.d, f.tq, g.dk);
    long dq = scratch.takeFloats((long) f.d * lanes);
    product(scratch, g.k, 4, 4L * f.d, Right.inPlace(ds, 4L * lanes), f.d, lanes, f.tk, dq);
    transpose(dq, lanes, f.d, f.tq, g.dq);
    scratch.release(mark);
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
      Scratch scratch, long a, long aRow, long aStep, Right right, int m, int n, int k, long c) {
    long mark = scratch.mark();
    Left left = Left.matrix(scratch, a, aRow, aStep, m, k, right.step());
    Result result = new Result(c, 4L * n, 0, m, n);
    long spare = scratch.take(2 * BYTES * Tile.ROWS);
    result.compute(left, right, 0, result.tiles(), 0, Right.panels(n), spare);
    scratch.release(mark);
  }

  /** A contiguous k × n matrix as B. */
  private static Right rows(Scratch scratch, long address, int k, int n) {
    return Right.inPlace(4L * n, 4, n)
        ? Right.inPlace(address, 4L * n)
        : packed(scratch, address, 4L * n, 4, k, n);
  }

  /** The transpose of a contiguous n × k matrix as B. */
  private static Right transposed(Scratch scratch, long address, int n, int k) {
    return packed(scratch, address, 4, 4L * k, k, n);
  }

  private static Right packed(
      Scratch scratch, long address, long rowBytes, long columnBytes, int k, int n) {
    Right right = Right.packed(scratch.take(Right.packedBytes(k, n)), k);
    for (int panel = 0; panel < Right.panels(n); panel++) {
      right.pack(panel, address, rowBytes, columnBytes, 0, k, n);
    }
    return right;
  }

  /** to[columns, rows] from the first columns of a matrix with longer rows. */
  private static void transpose(long from, int fromRow, int rows, int columns, long to) {
    for (int row = 0; row < rows; row++) {
      long source = from + 4L * row * fromRow;
      long target = to + 4L * row;
      for (int column = 0; column < columns; column++) {
        set(target + 4L * column * rows, get(source + 4L * column));
      }
    }
  }
}
