// SPDX-License-Identifier: Apache-2.0
//
// Attention without the matrix of scores, by products of float32 numbers in registers.
#include "attention.h"

/** Arrays in registers, for all tilings: numbers of scores, of sums, and of rows of a thread. */
enum { MAX_SCORES = 8, MAX_SUMS = 6, MAX_DOWN = 2 };

#define LANES(rows) (THREADS / (rows) > 8 ? THREADS / (rows) : 8)

DEVICE Tiling tiling(int head, int rows, int columns) {
  int lanes = LANES(rows), wide = (head / 4 + lanes - 1) / lanes;
  Tiling t = {head / 4, LINE(head), rows, columns, lanes, rows * lanes / THREADS, columns / lanes,
              4 * wide, 0};
  return t;
}

DEVICE float dot_of_four(float4 a, float4 b, float sum) {
  return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

DEVICE float4 multiply_add(float factor, float4 x, float4 sum) {
  sum.x += factor * x.x;
  sum.y += factor * x.y;
  sum.z += factor * x.z;
  sum.w += factor * x.w;
  return sum;
}

/** Σ dy·y: a warp for each row of each head. */
KERNEL(attention_delta, Attended) {
  long rows = (long)at.b * at.tq * at.heads;
  for (long i = (block() * THREADS + thread()) / WARP; i < rows; i += blocks() * (THREADS / WARP)) {
    float sum = 0;
    for (int j = thread() % WARP; j < at.dv; j += WARP) {
      sum += at.y[i * at.dv + j] * at.dy[i * at.dv + j];
    }
    sum = warp_sum(sum);
    long head = i % at.heads, row = i / at.heads % at.tq, image = i / at.heads / at.tq;
    if (thread() % WARP == 0) at.to[0][(image * at.heads + head) * at.tq + row] = sum;
  }
}

/** Reads rows from `first` on into shared memory. */
DEVICE void load_rows(float4 *lines, Heads x, int first, int rows, Tiling t) {
  ROLL
  for (int i = thread(); i < rows * t.fours; i += THREADS) {
    int row = i / t.fours, four = i % t.fours;
    lines[row * t.line + four] = four_of(x, first + row, 4 * four);
  }
}

/** s += rows · columns, for the scores of a thread. */
DEVICE void add_scores(float *s, const float4 *rows, const float4 *columns, Tiling t) {
  for (int k = 0; k < t.fours; k++) {
    float4 row[MAX_DOWN];
    for (int r = 0; r < t.down; r++) row[r] = rows[own_row(t, r) * t.line + k];
    for (int j = 0; j < t.across; j++) {
      float4 column = columns[(own_lane(t) + t.lanes * j) * t.line + k];
      for (int r = 0; r < t.down; r++) {
        s[r * t.across + j] = dot_of_four(row[r], column, s[r * t.across + j]);
      }
    }
  }
}

DEVICE void store_weights(float4 *weights, const float *s, Tiling t) {
  for (int r = 0; r < t.down; r++) {
    float *line = (float *)(weights + own_row(t, r) * LINE(t.columns));
    for (int j = 0; j < t.across; j++) line[own_lane(t) + t.lanes * j] = s[r * t.across + j];
  }
}

/**
 * sums += weights · lines, where there is a line for each column. What a tile gives is added up
 * first: sums of thousands keep their precision.
 */
DEVICE void add_weighted(float4 *sums, const float4 *weights, const float4 *lines, Tiling t) {
  float4 of_tile[MAX_SUMS] = {{0, 0, 0, 0}};
  for (int k = 0; k < t.columns / 4; k++) {
    float4 weight[MAX_DOWN];
    for (int r = 0; r < t.down; r++) weight[r] = weights[own_row(t, r) * LINE(t.columns) + k];
    for (int i = 0; i < 4; i++) {
      for (int c = 0; c < t.sums / 4; c++) {
        int four = own_lane(t) + t.lanes * c;
        float4 x = lines[(4 * k + i) * t.line + (four < t.fours ? four : t.fours - 1)];
        for (int r = 0; r < t.down; r++) {
          float4 *sum = of_tile + r * t.sums / 4 + c;
          *sum = multiply_add(((float *)&weight[r])[i], x, *sum);
        }
      }
    }
  }
  for (int i = 0; i < t.down * t.sums / 4; i++) sums[i] = multiply_add(1, of_tile[i], sums[i]);
}

DEVICE void put_sums(Heads to, int first, const float4 *sums, Tiling t) {
  int wide = t.sums / 4;
  for (int r = 0; r < t.down; r++) {
    for (int c = 0; c < wide; c++) {
      put_four(to, first + own_row(t, r), 4 * (own_lane(t) + t.lanes * c), sums[r * wide + c]);
    }
  }
}

/** Keeps queries; with every tile of keys the sums are brought to the largest score so far. */
DEVICE void attend(const Attended *at, Tiling t, float4 *queries, float4 *tile, float4 *weights) {
  int first = first_row(t, at->tq);
  long head = own_head(t, at->tq);
  long keys_of = head_of_keys(at, head);
  Heads k = heads_of(at, at->k, keys_of, at->tk, at->d);
  Heads v = heads_of(at, at->v, keys_of, at->tk, at->dv);
  float maximum[MAX_DOWN] = {LOWEST, LOWEST}, total[MAX_DOWN] = {0}, kept[MAX_DOWN];
  float4 sums[MAX_SUMS] = {{0, 0, 0, 0}};
  load_rows(queries, heads_of(at, at->q, head, at->tq, at->d), first, t.rows, t);
  for (int from = 0; from < at->tk; from += t.columns) {
    barrier();
    load_rows(tile, k, from, t.columns, t);
    barrier();
    float s[MAX_SCORES] = {0};
    add_scores(s, queries, tile, t);
    soften(at, t, from, s, maximum, total, kept);
    multiply_rows((float *)sums, kept, t);
    store_weights(weights, s, t);
    barrier();
    load_rows(tile, v, from, t.columns, t);
    barrier();
    add_weighted(sums, weights, tile, t);
  }
  normalise(at, t, (float *)sums, maximum, total);
  put_sums(heads_of(at, at->to[0], head, at->tq, at->dv), first, sums, t);
}

/** The gradients of what this block keeps; see sides_of. */
DEVICE void differentiate(const Attended *at, Tiling t, int of_keys, float4 *kept, float4 *kept_y,
                          float4 *tile, float4 *tile_y, float4 *weights) {
  Sides sides = sides_of(at, t, of_keys);
  int own = sides.kept.count, first = first_row(t, own);
  long head = own_head(t, own);
  float4 sums[MAX_SUMS] = {{0, 0, 0, 0}}, sums_y[MAX_SUMS] = {{0, 0, 0, 0}};
  load_rows(kept, sides.kept, first, t.rows, t);
  load_rows(kept_y, sides.kept_y, first, t.rows, t);
  for (int from = 0; from < sides.other.count; from += t.columns) {
    barrier();
    load_rows(tile, sides.other, from, t.columns, t);
    load_rows(tile_y, sides.other_y, from, t.columns, t);
    barrier();
    float p[MAX_SCORES] = {0}, ds[MAX_SCORES] = {0};
    add_scores(p, kept, tile, t);
    add_scores(ds, kept_y, tile_y, t);
    score_gradients(at, t, of_keys, from, p, ds);
    if (of_keys) {
      store_weights(weights, p, t);
      barrier();
      add_weighted(sums_y, weights, tile_y, t);
      barrier();
    }
    store_weights(weights, ds, t);
    barrier();
    add_weighted(sums, weights, tile, t);
  }
  put_sums(heads_of(at, at->to[0], head, own, at->d), first, sums, t);
  if (of_keys) put_sums(heads_of(at, at->to[1], head, own, at->dv), first, sums_y, t);
}

/** The kernels for heads of at most `head` elements, with tiles that fit shared memory. */
#define ATTENTION(head, rows, columns, rows_backward, columns_backward)                         \
  ATTENTION_FORWARD(head, rows, columns)                                                        \
  ATTENTION_BACKWARD(KERNEL(attention_dq_##head, Attended), 0, head, rows_backward,             \
                     columns_backward)                                                          \
  ATTENTION_BACKWARD(KERNEL(attention_dk_dv_##head, Attended), 1, head, rows_backward,          \
                     columns_backward)
#define ATTENTION_FORWARD(head, rows, columns)                                                  \
  KERNEL(attention_##head, Attended) {                                                          \
    LINES(queries, rows, head);                                                                 \
    LINES(tile, columns, head);                                                                 \
    LINES(weights, rows, columns);                                                              \
    attend(&at, tiling(head, rows, columns), queries, tile, weights);                           \
  }
#define ATTENTION_BACKWARD(kernel, of_keys, head, rows, columns)                                \
  kernel {                                                                                      \
    LINES(kept, rows, head);                                                                    \
    LINES(kept_y, rows, head);                                                                  \
    LINES(tile, columns, head);                                                                 \
    LINES(tile_y, columns, head);                                                               \
    LINES(weights, rows, columns);                                                              \
    differentiate(&at, tiling(head, rows, columns), of_keys, kept, kept_y, tile, tile_y,        \
                  weights);                                                                     \
  }
ATTENTION(8, 64, 32, 64, 32)
ATTENTION(16, 64, 32, 64, 32)
ATTENTION(32, 64, 32, 64, 32)
ATTENTION(40, 64, 32, 64, 32)
ATTENTION(64, 64, 32, 32, 32)
ATTENTION(80, 64, 32, 32, 32)
ATTENTION_FORWARD(160, 32, 32)
ATTENTION_BACKWARD(KERNEL_OF(2, attention_dq_160, Attended), 0, 160, 16, 16)
ATTENTION_BACKWARD(KERNEL(attention_dk_dv_160, Attended), 1, 160, 16, 16)
