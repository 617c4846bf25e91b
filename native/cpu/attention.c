// SPDX-License-Identifier: Apache-2.0
//
// Attention and its gradient, a head at a time, without a matrix of all scores (Dao et al. 2022).
//
// Queries run across the lanes: a query's numbers are turned into columns once, and every score of
// WIDTH queries with one key is d multiplications by single numbers of the key, which lies in
// memory as it came. So narrow heads fill whole vectors, softmax needs no sums within a vector, and
// keys need no padding. Exponentials are powers of two: queries are multiplied by log2(e) before.
#include <stdbool.h>

#include "functions.h"

enum {
  /** Queries of a chunk of the forward pass, and of a pass over all keys on the way back. */
  MANY_QUERIES = 256,
  /** Queries whose scores are held at once on the way forward: two vectors. */
  QUERIES = 2 * WIDTH,
  /** Keys whose scores are held at once. */
  KEYS = 64,
  KEYS_BACKWARD = 16,
  /** Columns of a product that are summed at once, two vectors each, in half of the registers. */
  COLUMNS = WIDTH / 2,
};

static const float LN_2 = 0.6931471805599453f;

/** Sizes and distances between rows; heads lie beside each other in a row. */
struct form {
  long tq, tk, q_row, v_row;
  float scale;
};

/** to[j][i] = factor * from[i][j] for i < count. */
INLINE void turn(const float *from, long row, long count, long d, float factor, float *to,
                 long to_row) {
  for (long i = 0; i < count; i++) {
    for (long j = 0; j < d; j++) {
      to[j * to_row + i] = from[i * row + j] * factor;
    }
  }
}

/** sums[n] = sum over j of rows[n][j] * columns[j][two vectors]. */
INLINE void dots(const float *rows, long row, long count, const float *columns, long column,
                 long d, vec sums[][2]) {
  UNROLLED(long n = 0; n < count; n++) { sums[n][0] = sums[n][1] = splat(0); }
  UNROLLED(long j = 0; j < d; j++) {
    vec c0 = load(columns + j * column), c1 = load(columns + j * column + WIDTH);
    UNROLLED(long n = 0; n < count; n++) {
      vec r = splat(rows[n * row + j]);
      sums[n][0] = fma_(r, c0, sums[n][0]);
      sums[n][1] = fma_(r, c1, sums[n][1]);
    }
  }
}

/** The next `count` columns of weigh. */
INLINE void weigh_columns(const float *weights, long weight_row, long keys, const float *rows,
                          long row, long count, float *to, long to_row, bool adds) {
  vec sums[COLUMNS][2];
  UNROLLED(long j = 0; j < count; j++) {
    sums[j][0] = adds ? load(to + j * to_row) : splat(0);
    sums[j][1] = adds ? load(to + j * to_row + WIDTH) : splat(0);
  }
  for (long key = 0; key < keys; key++) {
    vec w0 = load(weights + key * weight_row), w1 = load(weights + key * weight_row + WIDTH);
    UNROLLED(long j = 0; j < count; j++) {
      vec r = splat(rows[key * row + j]);
      sums[j][0] = fma_(r, w0, sums[j][0]);
      sums[j][1] = fma_(r, w1, sums[j][1]);
    }
  }
  UNROLLED(long j = 0; j < count; j++) {
    store(to + j * to_row, sums[j][0]);
    store(to + j * to_row + WIDTH, sums[j][1]);
  }
}

/** to[j] = sum over keys of rows[key][j] * weights[key][two vectors], or adds that. */
INLINE void weigh(const float *weights, long weight_row, long keys, const float *rows, long row,
                  long d, float *to, long to_row, bool adds) {
  long j = 0;
  for (; j + COLUMNS <= d; j += COLUMNS) {
    weigh_columns(weights, weight_row, keys, rows + j, row, COLUMNS, to + j * to_row, to_row, adds);
  }
  for (; j < d; j++) {
    weigh_columns(weights, weight_row, keys, rows + j, row, 1, to + j * to_row, to_row, adds);
  }
}

/** Scores of one key or four. */
INLINE void score(const float *k, long row, long count, const float *qt, long d, float *scores,
                  vec largest[2]) {
  vec sums[4][2];
  dots(k, row, count, qt, QUERIES, d, sums);
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long i = 0; i < 2; i++) {
      largest[i] = larger(largest[i], sums[n][i]);
      store(scores + n * QUERIES + i * WIDTH, sums[n][i]);
    }
  }
}

/** At most QUERIES queries and all keys. */
INLINE void forward(const struct form *f, const float *q, const float *k, const float *v, float *y,
                    float *log_sum_exp, long count, long d, long dv, float *scratch) {
  float *qt = scratch, *yt = qt + d * QUERIES, *scores = yt + dv * QUERIES;
  if (count < QUERIES) {
    memset(qt, 0, sizeof(float) * (size_t)(d * QUERIES));
  }
  turn(q, f->q_row, count, d, f->scale * LOG2_E, qt, QUERIES);
  vec largest[2] = {splat(-INFINITY), splat(-INFINITY)}, total[2] = {splat(0), splat(0)};
  for (long first = 0; first < f->tk; first += KEYS) {
    long keys = least(KEYS, f->tk - first), key = 0;
    const float *block = k + first * f->q_row;
    vec most[2] = {largest[0], largest[1]};
    for (; key + 4 <= keys; key += 4) {
      score(block + key * f->q_row, f->q_row, 4, qt, d, scores + key * QUERIES, most);
    }
    for (; key < keys; key++) {
      score(block + key * f->q_row, f->q_row, 1, qt, d, scores + key * QUERIES, most);
    }
    if (first > 0) {
      UNROLLED(long i = 0; i < 2; i++) {
        vec factor = power_of_two(largest[i] - most[i]);
        total[i] *= factor;
        for (long j = 0; j < dv; j++) {
          float *at = yt + j * QUERIES + i * WIDTH;
          store(at, load(at) * factor);
        }
      }
    }
    for (key = 0; key < keys; key++) {
      UNROLLED(long i = 0; i < 2; i++) {
        float *at = scores + key * QUERIES + i * WIDTH;
        vec e = power_of_two(load(at) - most[i]);
        total[i] += e;
        store(at, e);
      }
    }
    weigh(scores, QUERIES, keys, v + first * f->v_row, f->v_row, dv, yt, QUERIES, first > 0);
    largest[0] = most[0];
    largest[1] = most[1];
  }
  float factors[QUERIES];
  for (long i = 0; i < 2; i++) {
    store(factors + i * WIDTH, splat(1) / total[i]);
    long lanes = least(WIDTH, count - i * WIDTH);
    if (lanes > 0) {
      vec value = fma_(largest[i], splat(LN_2), logarithm(total[i]));
      store_some(log_sum_exp + i * WIDTH, value, lanes);
    }
  }
  for (long i = 0; i < count; i++) {
    for (long j = 0; j < dv; j++) {
      y[i * f->v_row + j] = yt[j * QUERIES + i] * factors[i];
    }
  }
}

/** All queries of a chunk, for one choice of d and dv. */
INLINE void forward_chunk(const struct form *f, const float *q, const float *k, const float *v,
                          float *y, float *log_sum_exp, long count, long d, long dv,
                          float *scratch) {
  for (long i = 0; i < count; i += QUERIES) {
    forward(f, q + i * f->q_row, k, v, y + i * f->v_row, log_sum_exp + i, least(QUERIES, count - i),
            d, dv, scratch);
  }
}

/**
 * y and log_sum_exp of up to 256 queries of one head of one element of the batch.
 *
 * q [b, tq, heads * d], k [b, tk, heads * d], v [b, tk, heads * dv], y [b, tq, heads * dv],
 * log_sum_exp [b, heads, tq]. Chunks are numbered by batch, then head, then queries. scratch:
 * 32 * (d + dv + 64) floats.
 */
EXPORT void reverie_attention(const float *q, const float *k, const float *v, float *y,
                              float *log_sum_exp, long tq, long tk, long heads, long d, long dv,
                              float scale, long chunk, float *scratch) {
  struct form f = {tq, tk, heads * d, heads * dv, scale};
  long blocks = (tq + MANY_QUERIES - 1) / MANY_QUERIES;
  long first = chunk % blocks * MANY_QUERIES, head = chunk / blocks % heads;
  long b = chunk / blocks / heads, count = least(MANY_QUERIES, tq - first);
  q += (b * tq + first) * f.q_row + head * d;
  k += b * tk * f.q_row + head * d;
  v += b * tk * f.v_row + head * dv;
  y += (b * tq + first) * f.v_row + head * dv;
  log_sum_exp += (b * heads + head) * tq + first;
  switch (d == dv ? d : 0) {
#define CASE(D)                                                                                    \
  case D:                                                                                          \
    forward_chunk(&f, q, k, v, y, log_sum_exp, count, D, D, scratch);                              \
    break
    CASE(8);
    CASE(16);
    CASE(32);
    CASE(40);
    CASE(64);
#undef CASE
  default:
    forward_chunk(&f, q, k, v, y, log_sum_exp, count, d, dv, scratch);
  }
}

/**
 * to[key][j] = factor * sum over i of tile[key][i] * columns[j][i], or adds that. The tile has
 * whole groups of WIDTH / 4 rows, the columns whole groups of 4.
 */
INLINE void sum_queries(const float *tile, long keys, const float *columns, long width, long d,
                        float factor, float *to, long to_row, bool adds) {
  for (long key = 0; key < keys; key += WIDTH / 4) {
    for (long j = 0; j < d; j += 4) {
      vec sums[WIDTH];
      UNROLLED(int n = 0; n < WIDTH; n++) { sums[n] = splat(0); }
      for (long i = 0; i < width; i += WIDTH) {
        vec c[4];
        UNROLLED(int n = 0; n < 4; n++) { c[n] = load(columns + (j + n) * width + i); }
        UNROLLED(int m = 0; m < WIDTH / 4; m++) {
          vec t = load(tile + (key + m) * width + i);
          UNROLLED(int n = 0; n < 4; n++) { sums[4 * m + n] = fma_(t, c[n], sums[4 * m + n]); }
        }
      }
      float values[WIDTH];
      store(values, lane_sums(sums) * factor);
      for (long m = 0; m < least(WIDTH / 4, keys - key); m++) {
        for (long n = 0; n < least(4, d - j); n++) {
          float *at = to + (key + m) * to_row + j + n;
          *at = values[4 * m + n] + (adds ? *at : 0);
        }
      }
    }
  }
}

/** Memory of a backward chunk, rows of `width` queries. */
struct columns {
  long width;
  float *qt, *dyt, *dqt, *logs, *dots, *p, *ds;
};

/** p and ds of one key or four with two vectors of queries from i on. */
INLINE void differentiate(const struct form *f, const struct columns *c, const float *k,
                          const float *v, long count, long tile, long i, long d, long dv) {
  vec sums[4][2];
  dots(k, f->q_row, count, c->qt + i, c->width, d, sums);
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long h = 0; h < 2; h++) {
      long at = i + h * WIDTH;
      store(c->p + (tile + n) * c->width + at, power_of_two(sums[n][h] - load(c->logs + at)));
    }
  }
  dots(v, f->v_row, count, c->dyt + i, c->width, dv, sums);
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long h = 0; h < 2; h++) {
      long at = i + h * WIDTH, to = (tile + n) * c->width + at;
      store(c->ds + to, load(c->p + to) * (sums[n][h] - load(c->dots + at)));
    }
  }
}

/** Up to KEYS_BACKWARD keys with the queries of a pass. */
INLINE void backward_keys(const struct form *f, const struct columns *c, const float *k,
                          const float *v, float *dk, float *dv_, long keys, bool first_queries,
                          bool first_keys, long d, long dv) {
  for (long i = 0; i < c->width; i += QUERIES) {
    long key = 0;
    for (; key + 4 <= keys; key += 4) {
      differentiate(f, c, k + key * f->q_row, v + key * f->v_row, 4, key, i, d, dv);
    }
    for (; key < keys; key++) {
      differentiate(f, c, k + key * f->q_row, v + key * f->v_row, 1, key, i, d, dv);
    }
  }
  size_t rest = sizeof(float) * (size_t)((-keys & (WIDTH / 4 - 1)) * c->width);
  memset(c->p + keys * c->width, 0, rest);
  memset(c->ds + keys * c->width, 0, rest);
  sum_queries(c->p, keys, c->dyt, c->width, dv, 1, dv_, f->v_row, !first_queries);
  // The columns of q are multiplied by scale * log2(e).
  sum_queries(c->ds, keys, c->qt, c->width, d, LN_2, dk, f->q_row, !first_queries);
  for (long i = 0; i < c->width; i += QUERIES) {
    weigh(c->ds + i, c->width, keys, k, f->q_row, d, c->dqt + i, c->width, !first_keys);
  }
}

/** Queries as columns, the rows of zeros that sum_queries wants, and what is known of queries. */
INLINE void prepare(const struct form *f, const struct columns *c, const float *q, const float *y,
                    const float *log_sum_exp, const float *dy, long count, long d, long dv) {
  for (long j = d & -4; j < d + 3; j++) {
    memset(c->qt + j * c->width, 0, sizeof(float) * (size_t)c->width);
  }
  for (long j = dv & -4; j < dv + 3; j++) {
    memset(c->dyt + j * c->width, 0, sizeof(float) * (size_t)c->width);
  }
  turn(q, f->q_row, count, d, f->scale * LOG2_E, c->qt, c->width);
  turn(dy, f->v_row, count, dv, 1, c->dyt, c->width);
  for (long i = 0; i < count; i++) {
    float dot = 0;
    for (long j = 0; j < dv; j++) {
      dot += y[i * f->v_row + j] * dy[i * f->v_row + j];
    }
    c->dots[i] = dot;
    c->logs[i] = log_sum_exp[i] * LOG2_E;
  }
  // Lanes without a query repeat the last one with no gradient: finite if that one is.
  for (long i = count; i < c->width; i++) {
    c->dots[i] = 0;
    c->logs[i] = c->logs[count - 1];
    for (long j = 0; j < d; j++) {
      c->qt[j * c->width + i] = c->qt[j * c->width + count - 1];
    }
    for (long j = 0; j < dv; j++) {
      c->dyt[j * c->width + i] = 0;
    }
  }
}

/** One head. */
INLINE void backward(const struct form *f, const float *q, const float *k, const float *v,
                     const float *y, const float *log_sum_exp, const float *dy, float *dq,
                     float *dk, float *dv_, long d, long dv, float *scratch) {
  // Without queries one pass over nothing writes zeros.
  for (long first = 0; first == 0 || first < f->tq; first += MANY_QUERIES) {
    long count = least(MANY_QUERIES, f->tq - first);
    long width = (count + QUERIES - 1) / QUERIES * QUERIES;
    struct columns c = {.width = width, .qt = scratch};
    c.dyt = c.qt + (d + 3) * width;
    c.dqt = c.dyt + (dv + 3) * width;
    c.logs = c.dqt + d * width;
    c.dots = c.logs + width;
    c.p = c.dots + width;
    c.ds = c.p + KEYS_BACKWARD * width;
    prepare(f, &c, q + first * f->q_row, y + first * f->v_row, log_sum_exp + first,
            dy + first * f->v_row, count, d, dv);
    for (long key = 0; key < f->tk; key += KEYS_BACKWARD) {
      backward_keys(f, &c, k + key * f->q_row, v + key * f->v_row, dk + key * f->q_row,
                    dv_ + key * f->v_row, least(KEYS_BACKWARD, f->tk - key), first == 0, key == 0,
                    d, dv);
    }
    for (long i = 0; i < count; i++) {
      for (long j = 0; j < d; j++) {
        dq[(first + i) * f->q_row + j] = c.dqt[j * width + i] * f->scale;
      }
    }
  }
}

/**
 * dq, dk and dv of one head of one element of the batch; sizes as in reverie_attention, chunks by
 * batch, then head. scratch: 256 * (2 * d + dv + 40) floats.
 */
EXPORT void reverie_attention_backward(const float *q, const float *k, const float *v,
                                       const float *y, const float *log_sum_exp, const float *dy,
                                       float *dq, float *dk, float *dv_, long tq, long tk,
                                       long heads, long d, long dv, float scale, long chunk,
                                       float *scratch) {
  struct form f = {tq, tk, heads * d, heads * dv, scale};
  long b = chunk / heads, head = chunk % heads;
  long from_q = b * tq * f.q_row + head * d, from_k = b * tk * f.q_row + head * d;
  long from_v = b * tk * f.v_row + head * dv, from_y = b * tq * f.v_row + head * dv;
  q += from_q, dq += from_q;
  k += from_k, dk += from_k;
  v += from_v, dv_ += from_v;
  y += from_y, dy += from_y;
  log_sum_exp += chunk * tq;
  switch (d == dv ? d : 0) {
#define CASE(D)                                                                                    \
  case D:                                                                                          \
    backward(&f, q, k, v, y, log_sum_exp, dy, dq, dk, dv_, D, D, scratch);                         \
    break
    CASE(8);
    CASE(16);
    CASE(32);
    CASE(40);
    CASE(64);
#undef CASE
  default:
    backward(&f, q, k, v, y, log_sum_exp, dy, dq, dk, dv_, d, dv, scratch);
  }
}
