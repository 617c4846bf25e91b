// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.kernel;

import reverie.tensor.Tensor;

/** Batch, heads, queries, keys, width of keys and of values in a head, factor of the scores. */
public record AttentionShape(int b, int heads, int tq, int tk, int d, int dv, float scale) {
  /** Of q [b, tq, heads·d], k [b, tk, heads·d] and v [b, tk, heads·dv]. */
  public static AttentionShape of(Tensor q, Tensor k, Tensor v, int heads, double scale) {
    return new AttentionShape(
        q.dim(0), heads, q.dim(1), k.dim(1), q.dim(2) / heads, v.dim(2) / heads, (float) scale);
  }

  /** Bytes from the start of a query or key to the next. */
  public long row() {
    return 4L * heads * d;
  }

  /** The same for values and results. */
  public long valueRow() {
    return 4L * heads * dv;
  }

  /** Bytes from the start to the queries of a head. */
  public long query(int head) {
    return head / heads * tq * row() + 4L * (head % heads) * d;
  }

  public long result(int head) {
    return head / heads * tq * valueRow() + 4L * (head % heads) * dv;
  }

  public long key(int head) {
    return head / heads * tk * row() + 4L * (head % heads) * d;
  }

  public long value(int head) {
    return head / heads * tk * valueRow() + 4L * (head % heads) * dv;
  }
}
