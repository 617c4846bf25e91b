// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import static reverie.tensor.cpu.Memory.BYTES;

/**
 * Attention and its gradient, head by head: scores live in working memory that fits the
 * second-level cache and are never written to a tensor (Dao et al. 2022).
 */
final class Attentions {
  /** Queries whose scores are held at once. */
  private static final int QUERIES = 8 * Tile.ROWS;

  private Attentions() {}

  /** Sizes: heads (batch included), queries, keys, width of keys and of values. */
  record Form(int b, int tq, int tk, int d, int dv, float scale) {}

  static void forward(Parallel parallel, Form f, long q, long k, long v, long y, long logSumExp) {
    int blocks = Math.max(1, (f.tq + QUERIES - 1) / QUERIES);
    // Few heads: their queries are shared out too, and each piece packs the keys again.
    int parts = f.b >= 2 * parallel.threads() ? 1 : blocks;
    parallel.forEach(
        f.b * parts,
        i -> {
          int head = i / parts;
          int first = parts == 1 ? 0 : i % parts * QUERIES;
          int end = parts == 1 ? f.tq : Math.min(f.tq, first + QUERIES);
          Scratch scratch = Scratch.mine();
          long mark = scratch.mark();
          Right keys = packed(scratch, k + 4L * head * f.tk * f.d, 4, 4L * f.d, f.d, f.tk);
          Right values = rows(scratch, v + 4L * head * f.tk * f.dv, f.tk, f.dv);
          long scores = scratch.takeFloats((long) QUERIES * f.tk);
          for (int at = first; at < end; at += QUERIES) {
            int count = Math.min(QUERIES, end - at);
            long row = (long) head * f.tq + at;
            product(scratch, q + 4 * row * f.d, 4L * f.d, 4, keys, count, f.tk, f.d, scores);
            for (int r = 0; r < count; r++) {
              long score = scores + 4L * r * f.tk;
              Memory.set(logSumExp + 4 * (row + r), Softmaxes.row(score, score, f.tk, f.scale));
            }
            product(scratch, scores, 4L * f.tk, 4, values, count, f.dv, f.tk, y + 4 * row * f.dv);
          }
          scratch.release(mark);
        });
  }

  /** What the gradient reads and writes, all contiguous. */
  record Gradient(
      long q, long k, long v, long y, long logSumExp, long dy, long dq, long dk, long dv) {}

  static void backward(Parallel parallel, Form f, Gradient g) {
    parallel.forEach(
        f.b,
        head -> {
          Scratch scratch = Scratch.mine();
          long mark = scratch.mark();
          long q = g.q + 4L * head * f.tq * f.d;
          long k = g.k + 4L * head * f.tk * f.d;
          long v = g.v + 4L * head * f.tk * f.dv;
          long y = g.y + 4L * head * f.tq * f.dv;
          long dy = g.dy + 4L * head * f.tq * f.dv;
          long p = scratch.takeFloats((long) f.tq * f.tk);
          long ds = scratch.takeFloats((long) f.tq * f.tk);
          Right keys = packed(scratch, k, 4, 4L * f.d, f.d, f.tk);
          product(scratch, q, 4L * f.d, 4, keys, f.tq, f.tk, f.d, p);
          Right values = packed(scratch, v, 4, 4L * f.dv, f.dv, f.tk);
          product(scratch, dy, 4L * f.dv, 4, values, f.tq, f.tk, f.dv, ds);
          for (int r = 0; r < f.tq; r++) {
            long at = 4L * r * f.tk;
            float shift = Memory.get(g.logSumExp + 4 * ((long) head * f.tq + r));
            Softmaxes.exponentials(p + at, p + at, f.tk, f.scale, shift);
            float dot = Softmaxes.dot(y + 4L * r * f.dv, dy + 4L * r * f.dv, f.dv);
            Softmaxes.backwardRow(p + at, ds + at, ds + at, f.tk, dot, f.scale);
          }
          Right allDy = rows(scratch, dy, f.tq, f.dv);
          product(
              scratch, p, 4, 4L * f.tk, allDy, f.tk, f.dv, f.tq, g.dv + 4L * head * f.tk * f.dv);
          Right allK = rows(scratch, k, f.tk, f.d);
          product(scratch, ds, 4L * f.tk, 4, allK, f.tq, f.d, f.tk, g.dq + 4L * head * f.tq * f.d);
          Right allQ = rows(scratch, q, f.tq, f.d);
          product(scratch, ds, 4, 4L * f.tk, allQ, f.tk, f.d, f.tq, g.dk + 4L * head * f.tk * f.d);
          scratch.release(mark);
        });
  }

  private static void product(
      Scratch scratch, long a, long aRow, long aStep, Right right, int m, int n, int k, long c) {
    long mark = scratch.mark();
    Left left = Left.matrix(scratch, a, aRow, aStep, m, k, right.step());
    Result result = new Result(c, 4L * n, 0, m, n);
    result.compute(
        left, right, 0, result.tiles(), 0, Right.panels(n), scratch.take(2 * BYTES * Tile.ROWS));
    scratch.release(mark);
  }

  /** A contiguous k × n matrix as B. */
  private static Right rows(Scratch scratch, long address, int k, int n) {
    return Right.inPlace(4L * n, 4, n)
        ? Right.inPlace(address, 4L * n)
        : packed(scratch, address, 4L * n, 4, k, n);
  }

  private static Right packed(
      Scratch scratch, long address, long rowBytes, long columnBytes, int k, int n) {
    Right right = Right.packed(scratch.take(Right.packedBytes(k, n)), k);
    for (int panel = 0; panel < Right.panels(n); panel++) {
      right.pack(panel, address, rowBytes, columnBytes, 0, k, n);
    }
    return right;
  }
}
