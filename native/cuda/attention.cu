// SPDX-License-Identifier: Apache-2.0
//
// Attention without the matrix of scores (Dao et al. 2022): a block keeps some rows, of queries or
// of keys, and goes over tiles of the others. Products are of float32 numbers in registers.
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
} Attended;

/** Rows of one head of a tensor [b, t, heads, width]. */
typedef struct {
  const float *at;
  long stride; // from a row to the next
  int count, width, fours;
} Heads;

DEVICE Heads heads_of(const Attended *at, const float *x, long head, int t, int width) {
  Heads rows = {x + (head / at->heads * t * at->heads + head % at->heads) * width,
                (long)at->heads * width, t, width, at->fours};
  return rows;
}

/** Four elements of a row, 0 where there are none. */
DEVICE float4 four_of(Heads x, int row, int column) {
  float4 value = {0, 0, 0, 0};
  if (row >= x.count) return value;
  const float *from = x.at + row * x.stride + column;
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
  float *to = (float *)x.at + row * x.stride + column;
  if (x.fours) {
    if (column < x.width) *(float4 *)to = value;
  } else {
    if (column < x.width) to[0] = value.x;
    if (column + 1 < x.width) to[1] = value.y;
    if (column + 2 < x.width) to[2] = value.z;
    if (column + 3 < x.width) to[3] = value.w;
  }
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

/**
 * A tile of scores: `rows`, which a block keeps, and `columns`, which change. Of both a thread has
 * some, `down` and `across`; so many neighbouring `lanes` share rows. Of the sums in a row it has
 * `wide` float4. Lines in shared memory are longer by a float4: neighbours use other banks.
 */
typedef struct {
  int fours, line, rows, columns, lanes, down, across, wide;
} Tiling;

/** Arrays in registers, for all tilings: numbers of scores, of sums, and of rows of a thread. */
enum { MOST_SCORES = 8, MOST_SUMS = 6, MOST_DOWN = 2 };

#define LANES(rows) (THREADS / (rows) > 8 ? THREADS / (rows) : 8)
#define LINE(size) ((size) / 4 + 1)

DEVICE Tiling tiling(int head, int rows, int columns) {
  int lanes = LANES(rows);
  Tiling t = {head / 4, LINE(head), rows, columns, lanes, rows * lanes / THREADS, columns / lanes,
              (head / 4 + lanes - 1) / lanes};
  return t;
}

DEVICE int own_lane(Tiling t) { return thread() % t.lanes; }
DEVICE int own_row(Tiling t, int r) { return thread() / t.lanes + THREADS / t.lanes * r; }

/** Reads rows from `first` on into shared memory. */
DEVICE void load_rows(float4 *lines, Heads x, int first, int rows, Tiling t) {
  for (int i = thread(); i < rows * t.fours; i += THREADS) {
    int row = i / t.fours, four = i % t.fours;
    lines[row * t.line + four] = four_of(x, first + row, 4 * four);
  }
}

/** s += rows · columns, for the scores of a thread. */
DEVICE void add_scores(float *s, const float4 *rows, const float4 *columns, Tiling t) {
  for (int k = 0; k < t.fours; k++) {
    float4 row[MOST_DOWN];
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
  float4 of_tile[MOST_SUMS] = {{0, 0, 0, 0}};
  for (int k = 0; k < t.columns / 4; k++) {
    float4 weight[MOST_DOWN];
    for (int r = 0; r < t.down; r++) weight[r] = weights[own_row(t, r) * LINE(t.columns) + k];
    for (int i = 0; i < 4; i++) {
      for (int c = 0; c < t.wide; c++) {
        int four = own_lane(t) + t.lanes * c;
        float4 x = lines[(4 * k + i) * t.line + (four < t.fours ? four : t.fours - 1)];
        for (int r = 0; r < t.down; r++) {
          float4 *sum = of_tile + r * t.wide + c;
          *sum = multiply_add(((float *)&weight[r])[i], x, *sum);
        }
      }
    }
  }
  for (int i = 0; i < t.down * t.wide; i++) sums[i] = multiply_add(1, of_tile[i], sums[i]);
}

DEVICE void put_sums(Heads to, int first, float4 *sums, Tiling t) {
  for (int r = 0; r < t.down; r++) {
    for (int c = 0; c < t.wide; c++) {
      put_four(to, first + own_row(t, r), 4 * (own_lane(t) + t.lanes * c), sums[r * t.wide + c]);
    }
  }
}

/** Keeps queries; with every tile of keys the sums are brought to the largest score so far. */
DEVICE void attend(const Attended *at, Tiling t, float4 *queries, float4 *tile, float4 *weights) {
  int tiles = (at->tq + t.rows - 1) / t.rows, first = (int)(block() % tiles) * t.rows;
  long head = block() / tiles;
  Heads k = heads_of(at, at->k, head, at->tk, at->d), v = heads_of(at, at->v, head, at->tk, at->dv);
  float most[MOST_DOWN], total[MOST_DOWN], in_bits = at->scale * LOG2_E;
  float4 sums[MOST_SUMS] = {{0, 0, 0, 0}};
  for (int r = 0; r < t.down; r++) {
    most[r] = LOWEST;
    total[r] = 0;
  }
  load_rows(queries, heads_of(at, at->q, head, at->tq, at->d), first, t.rows, t);
  for (int from = 0; from < at->tk; from += t.columns) {
    barrier();
    load_rows(tile, k, from, t.columns, t);
    barrier();
    float s[MOST_SCORES] = {0};
    add_scores(s, queries, tile, t);
    for (int r = 0; r < t.down; r++) {
      float *own = s + r * t.across, high = most[r];
      for (int j = 0; j < t.across; j++) {
        own[j] = from + own_lane(t) + t.lanes * j < at->tk ? own[j] * in_bits : -INFINITY;
        high = larger(high, own[j]);
      }
      for (int bits = t.lanes / 2; bits; bits /= 2) high = larger(high, exchange(high, bits));
      float kept = exp2f(most[r] - high);
      most[r] = high;
      float of_tile = 0;
      for (int j = 0; j < t.across; j++) of_tile += own[j] = exp2f(own[j] - high);
      total[r] = total[r] * kept + of_tile;
      for (int c = 0; c < t.wide; c++) {
        float4 none = {0, 0, 0, 0};
        sums[r * t.wide + c] = multiply_add(kept, sums[r * t.wide + c], none);
      }
    }
    store_weights(weights, s, t);
    barrier();
    load_rows(tile, v, from, t.columns, t);
    barrier();
    add_weighted(sums, weights, tile, t);
  }
  for (int r = 0; r < t.down; r++) {
    for (int bits = t.lanes / 2; bits; bits /= 2) total[r] += exchange(total[r], bits);
    for (int c = 0; c < t.wide; c++) {
      float4 none = {0, 0, 0, 0};
      sums[r * t.wide + c] = multiply_add(1 / total[r], sums[r * t.wide + c], none);
    }
    int row = first + own_row(t, r);
    if (own_lane(t) == 0 && row < at->tq) {
      at->to[1][head * at->tq + row] = (most[r] + log2f(total[r])) * LN_2;
    }
  }
  put_sums(heads_of(at, at->to[0], head, at->tq, at->dv), first, sums, t);
}

/**
 * Keeps queries and dy for dq, or keys and values for dk and dv: with scores s = scale·q·k,
 * p = exp(s − log_sum) and ds = scale·p·(dy·v − delta), dv = Σ p·dy, dk = Σ ds·q, dq = Σ ds·k.
 */
DEVICE void differentiate(const Attended *at, Tiling t, int of_keys, float4 *kept, float4 *kept_y,
                          float4 *tile, float4 *tile_y, float4 *weights) {
  int own = of_keys ? at->tk : at->tq, others = of_keys ? at->tq : at->tk;
  int tiles = (own + t.rows - 1) / t.rows, first = (int)(block() % tiles) * t.rows;
  long head = block() / tiles;
  Heads x = heads_of(at, of_keys ? at->q : at->k, head, others, at->d);
  Heads y = heads_of(at, of_keys ? at->dy : at->v, head, others, at->dv);
  const float *log_sum = at->log_sum + head * at->tq, *delta = at->delta + head * at->tq;
  float in_bits = at->scale * LOG2_E;
  float4 sums[MOST_SUMS] = {{0, 0, 0, 0}}, sums_y[MOST_SUMS] = {{0, 0, 0, 0}};
  load_rows(kept, heads_of(at, of_keys ? at->k : at->q, head, own, at->d), first, t.rows, t);
  load_rows(kept_y, heads_of(at, of_keys ? at->v : at->dy, head, own, at->dv), first, t.rows, t);
  for (int from = 0; from < others; from += t.columns) {
    barrier();
    load_rows(tile, x, from, t.columns, t);
    load_rows(tile_y, y, from, t.columns, t);
    barrier();
    float p[MOST_SCORES] = {0}, ds[MOST_SCORES] = {0};
    add_scores(p, kept, tile, t);
    add_scores(ds, kept_y, tile_y, t);
    for (int r = 0; r < t.down; r++) {
      for (int j = 0; j < t.across; j++) {
        int row = first + own_row(t, r), column = from + own_lane(t) + t.lanes * j;
        int query = of_keys ? column : row, i = r * t.across + j;
        int inside = row < own && column < others;
        p[i] = inside ? exp2f(p[i] * in_bits - LOG2_E * log_sum[query]) : 0;
        ds[i] = inside ? at->scale * p[i] * (ds[i] - delta[query]) : 0;
      }
    }
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

/** Memory for a number of lines of so many elements. */
#define LINES(name, lines, size) SHARED float4 name[(lines) * LINE(size)]

/** The kernels for heads of at most `head` elements, with tiles that fit shared memory. */
#define ATTENTION(head, rows, columns, rows_backward, columns_backward)                       \
  KERNEL(attention_##head, Attended) {                                                        \
    LINES(queries, rows, head);                                                               \
    LINES(tile, columns, head);                                                               \
    LINES(weights, rows, columns);                                                            \
    attend(&at, tiling(head, rows, columns), queries, tile, weights);                         \
  }                                                                                           \
  ATTENTION_BACKWARD(attention_dq_##head, 0, head, rows_backward, columns_backward)           \
  ATTENTION_BACKWARD(attention_dk_dv_##head, 1, head, rows_backward, columns_backward)
#define ATTENTION_BACKWARD(name, of_keys, head, rows, columns)                                \
  KERNEL(name, Attended) {                                                                    \
    LINES(kept, rows, head);                                                                  \
    LINES(kept_y, rows, head);                                                                \
    LINES(tile, columns, head);                                                               \
    LINES(tile_y, columns, head);                                                             \
    LINES(weights, rows, columns);                                                            \
    differentiate(&at, tiling(head, rows, columns), of_keys, kept, kept_y, tile, tile_y,      \
                  weights);                                                                   \
  }
ATTENTION(8, 64, 32, 64, 32)
ATTENTION(16, 64, 32, 64, 32)
ATTENTION(32, 64, 32, 64, 32)
ATTENTION(40, 64, 32, 64, 32)
ATTENTION(64, 64, 32, 32, 32)
ATTENTION(80, 64, 32, 32, 32)
ATTENTION(160, 32, 32, 16, 16)
