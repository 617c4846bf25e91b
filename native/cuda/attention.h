// SPDX-License-Identifier: Apache-2.0
//
// What the kernels of attention have in common: a block keeps some rows, of queries or of keys, and
// goes over tiles of the others (Dao et al. 2022).
#pragma once
#include "kernel.h"

#define LOG2_E 1.4426950408889634f
#define LN_2 0.6931471805599453f
#define LOWEST -3e38f

typedef struct {
  const float *q, *k, *v; // [b, tq, heads, d], [b, tk, heads, d], [b, tk, heads, dv]
  const float *y, *dy;    // [b, tq, heads, dv]
  const float *log_sum;   // log Σ exp of scores [b, heads, tq]
  const float *delta;     // Σ dy·y [b, heads, tq]
  float *to[2];           // forward: y, log_sum; delta; dq; dk and dv
  int b, heads, tq, tk, d, dv;
  float scale;
  int fours; // whether all rows of all heads are aligned to four elements
  // Elements of a row of a head, of queries and keys and of values, where they are bfloat16.
  int wide, wide_v;
  int half;  // whether results, and y, are bfloat16
  int keyed; // images that k and v are of, the first of them for all that have none of their own
  int row_q, row_k, row_v; // elements from a row to the next, where they are bfloat16
} Attended;

/** Rows of one head of a tensor [b, t, heads, width]. */
typedef struct {
  const float *at;
  int stride; // from a row to the next
  int count, width, fours;
} Heads;

/**
 * A tile of scores: `rows`, which a block keeps, and `columns`, which change. Of both a thread has
 * some, `down` and `across`; so many `lanes`, neighbouring threads, share rows. Of what is added up
 * for a row a thread has some elements, `sums`. Lines in shared memory have `line` float4, one more
 * than needed: so neighbours lie in other banks.
 */
typedef struct {
  int fours, line, rows, columns, lanes, down, across, sums;
  int cores; // whether the tensor cores say who has what
} Tiling;

#define LINE(size) ((size) / 4 + 1)

/** Memory for a number of lines of so many elements. */
#define LINES(name, lines, size) SHARED float4 name[(lines) * LINE(size)]

DEVICE int own_lane(Tiling t) { return thread() % t.lanes; }

DEVICE int own_row(Tiling t, int r) {
  return t.cores ? thread() / WARP * 16 + thread() % WARP / 4 + 8 * r
                 : thread() / t.lanes + THREADS / t.lanes * r;
}

DEVICE int own_column(Tiling t, int j) {
  return t.cores ? j / 2 * 8 + 2 * own_lane(t) + j % 2 : own_lane(t) + t.lanes * j;
}

DEVICE Heads heads_of(const Attended *at, const float *x, long head, int t, int width) {
  Heads rows = {x + (head / at->heads * t * at->heads + head % at->heads) * width,
                at->heads * width, t, width, at->fours};
  return rows;
}

/** The head of k and v for one of q. */
DEVICE long head_of_keys(const Attended *at, long head) {
  long shared = (long)(at->b - at->keyed) * at->heads;
  return head < shared ? head % at->heads : head - shared;
}

/** Four elements of a row, 0 where there are none. */
DEVICE float4 four_of(Heads x, int row, int column) {
  float4 value = {0, 0, 0, 0};
  if (row >= x.count) return value;
  const float *from = x.at + (long)row * x.stride + column;
  if (x.fours) {
    if (column < x.width) value = *(const float4 *)from;
  } else {
    if (column < x.width) value.x = from[0];
    if (column + 1 < x.width) value.y = from[1];
    if (column + 2 < x.width) value.z = from[2];
    if (column + 3 < x.width) value.w = from[3];
  }
  return value;
}

DEVICE void put_four(Heads x, int row, int column, float4 value) {
  if (row >= x.count) return;
  float *to = (float *)x.at + (long)row * x.stride + column;
  if (x.fours) {
    if (column < x.width) *(float4 *)to = value;
  } else {
    if (column < x.width) to[0] = value.x;
    if (column + 1 < x.width) to[1] = value.y;
    if (column + 2 < x.width) to[2] = value.z;
    if (column + 3 < x.width) to[3] = value.w;
  }
}

/** Where the rows begin that this block keeps of so many in each head. */
DEVICE int first_row(Tiling t, int count) {
  return (int)(block() % ((count + t.rows - 1) / t.rows)) * t.rows;
}

/** The head that they are of, counted through all images. */
DEVICE long own_head(Tiling t, int count) { return block() / ((count + t.rows - 1) / t.rows); }

/** Writes what the tensor cores added up. */
DEVICE void put_core_sums(Heads to, int first, const float *sums, Tiling t) {
  UNROLL
  for (int i = 0; i < 2 * t.sums; i++) {
    int row = first + own_row(t, i / t.sums), column = own_column(t, i % t.sums);
    if (row < to.count && column < to.width) {
      ((float *)to.at)[(long)row * to.stride + column] = sums[i];
    }
  }
}

DEVICE void multiply_rows(float *sums, const float *factors, Tiling t) {
  UNROLL
  for (int r = 0; r < t.down; r++) {
    UNROLL
    for (int i = 0; i < t.sums; i++) sums[r * t.sums + i] *= factors[r];
  }
}

/**
 * Scores to weights exp(score − maximum), where `maximum` becomes the largest score of a row so far;
 * what was added up before is to be multiplied by `kept`. `total` is that of the thread's own columns.
 */
DEVICE void soften(const Attended *at, Tiling t, int from, float *s, float *maximum, float *total,
                   float *kept) {
  float in_bits = at->scale * LOG2_E;
  UNROLL
  for (int r = 0; r < t.down; r++) {
    float *own = s + r * t.across, high = maximum[r], of_tile = 0;
    UNROLL
    for (int j = 0; j < t.across; j++) {
      own[j] = from + own_column(t, j) < at->tk ? own[j] * in_bits : -INFINITY;
      high = larger(high, own[j]);
    }
    for (int bits = t.lanes / 2; bits; bits /= 2) high = larger(high, exchange(high, bits));
    kept[r] = exp2f(maximum[r] - high);
    maximum[r] = high;
    UNROLL
    for (int j = 0; j < t.across; j++) of_tile += own[j] = exp2f(own[j] - high);
    total[r] = total[r] * kept[r] + of_tile;
  }
}

/** Writes log Σ exp, and divides the sums by the total of the weights. */
DEVICE void normalise(const Attended *at, Tiling t, float *sums, const float *maximum,
                      float *total) {
  UNROLL
  for (int r = 0; r < t.down; r++) {
    for (int bits = t.lanes / 2; bits; bits /= 2) total[r] += exchange(total[r], bits);
    int row = first_row(t, at->tq) + own_row(t, r);
    if (own_lane(t) == 0 && row < at->tq) {
      at->to[1][own_head(t, at->tq) * at->tq + row] = (maximum[r] + log2f(total[r])) * LN_2;
    }
    total[r] = 1 / total[r];
  }
  multiply_rows(sums, total, t);
}

/**
 * From p = q·k and ds = dy·v to weights p = exp(scale·p − log_sum) and gradients of the scores,
 * ds = scale·p·(ds − delta); columns begin at `from`.
 */
DEVICE void score_gradients(const Attended *at, Tiling t, int of_keys, int from, float *p,
                            float *ds) {
  int own = of_keys ? at->tk : at->tq, others = of_keys ? at->tq : at->tk;
  int first = first_row(t, own);
  unsigned head = (unsigned)(own_head(t, own) * at->tq);
  float in_bits = at->scale * LOG2_E;
  UNROLL
  for (int r = 0; r < t.down; r++) {
    UNROLL
    for (int j = 0; j < t.across; j++) {
      int row = first + own_row(t, r), column = from + own_column(t, j), i = r * t.across + j;
      unsigned query = head + (of_keys ? column : row);
      int inside = row < own && column < others;
      p[i] = inside ? exp2f(p[i] * in_bits - LOG2_E * at->log_sum[query]) : 0;
      ds[i] = inside ? at->scale * p[i] * (ds[i] - at->delta[query]) : 0;
    }
  }
}

/** The tensors of the backward pass as this block sees them: what it keeps and what changes. */
typedef struct {
  Heads kept, kept_y, other, other_y;
} Sides;

/**
 * Keeps queries and dy for dq, or keys and values for dk and dv; see score_gradients:
 * dv = Σ p·dy, dk = Σ ds·q, dq = Σ ds·k.
 */
DEVICE Sides sides_of(const Attended *at, Tiling t, int of_keys) {
  long head = own_head(t, of_keys ? at->tk : at->tq);
  Heads q = heads_of(at, at->q, head, at->tq, at->d), dy = heads_of(at, at->dy, head, at->tq, at->dv);
  Heads k = heads_of(at, at->k, head, at->tk, at->d), v = heads_of(at, at->v, head, at->tk, at->dv);
  Sides queries = {q, dy, k, v}, keys = {k, v, q, dy};
  return of_keys ? keys : queries;
}
