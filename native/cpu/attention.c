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
  /** Queries of a chunk of the forward pass,. */
  MANY_QUERIES = 256,
  /** Queries whose scores are held at once on the way forward: two vectors. */
  QUERIES = 2 * WIDTH,
  /** Keys whose scores are held at once. */
  KEYS = 64,
  /** Keys whose scores are computed at once. */
  SCORED = 4,
  /** Keys whose gradients are summed at once. */
  SUMMED = 16,
  /** Queries of a pass over all keys on the way back: what is known of them stays in the L1. */
  PASS = 128,
  KEYS_BACKWARD = 16,
  /** Columns of a product that are summed at once, two vectors each, in half of the registers. */
  COLUMNS = WIDTH / 2,
};

/** Scores up to this are exponents as they are: 2^60 times any sensible number is finite. */
static const float SMALL_SCORE = 60;
static const float LN_2 = 0.6931471805599453f;

/** Sizes and distances between rows; heads lie beside each other in a row. */
struct form {
  long tq, tk, q_row, v_row;
  float scale;
};

/** WIDTH rows of 8 numbers as 8 columns. */
INLINE void load_columns(const float *from, long row, vec columns[8]) {
  UNROLLED(long i = 0; i < 8; i++) { columns[i] = load_eights(from + i * row, 8 * row); }
  transpose_blocks(columns, 8);
}

/** to[j][i] = factor * from[i][j] for i < count. */
INLINE void to_columns(const float *from, long row, long count, long d, float factor, float *to,
                       long to_row) {
  const long eights = d & -8, whole = eights > 0 ? count & -WIDTH : 0;
  for (long i = 0; i < whole; i += WIDTH) {
    for (long j = 0; j < eights; j += 8) {
      vec columns[8];
      load_columns(from + i * row + j, row, columns);
      UNROLLED(long n = 0; n < 8; n++) { store(to + (j + n) * to_row + i, columns[n] * factor); }
    }
  }
  for (long i = 0; i < count; i++) {
    for (long j = i < whole ? eights : 0; j < d; j++) {
      to[j * to_row + i] = from[i * row + j] * factor;
    }
  }
}

/** to[i][j] = factors[i] * from[j][i] for i < count. */
INLINE void to_rows(const float *from, long from_row, const float *factors, long count, long d,
                    float *to, long row) {
  const long eights = d & -8, whole = eights > 0 ? count & -WIDTH : 0;
  for (long i = 0; i < whole; i += WIDTH) {
    for (long j = 0; j < eights; j += 8) {
      vec columns[8];
      UNROLLED(long n = 0; n < 8; n++) {
        columns[n] = load(from + (j + n) * from_row + i) * load(factors + i);
      }
      transpose_blocks(columns, 8);
      UNROLLED(long n = 0; n < 8; n++) {
        store_eights(to + (i + n) * row + j, 8 * row, columns[n]);
      }
    }
  }
  for (long i = 0; i < count; i++) {
    for (long j = i < whole ? eights : 0; j < d; j++) {
      to[i * row + j] = from[j * from_row + i] * factors[i];
    }
  }
}

/** Adds to sums[n] the sum over j of rows[n][j] * columns[j][two vectors]. */
INLINE void dots(const float *rows, long row, long count, const float *columns, long column,
                 long d, vec sums[][2]) {
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

/** most[j] = the largest |k[key][j]|. */
INLINE void measure_keys(const struct form *f, const float *k, long d, float *most) {
  for (long j = 0; j < d; j += WIDTH) {
    vec m = splat(0);
    for (long key = 0; key < f->tk; key++) {
      vec x = load_lanes(k + key * f->q_row + j, d - j);
      m = larger(m, larger(x, -x));
    }
    store_lanes(most + j, m, d - j);
  }
}

/** The largest scores of two vectors of queries. */
INLINE void largest_scores(const struct form *f, const float *k, const float *qt, long d,
                           vec largest[2]) {
  UNROLLED(long i = 0; i < 2; i++) { largest[i] = splat(-INFINITY); }
  for (long key = 0; key < f->tk; key++) {
    vec sums[1][2] = {{splat(0), splat(0)}};
    dots(k + key * f->q_row, f->q_row, 1, qt, QUERIES, d, sums);
    UNROLLED(long i = 0; i < 2; i++) { largest[i] = larger(largest[i], sums[0][i]); }
  }
}

/**
 * What is subtracted from scores before they become exponents: nothing where no score can be
 * large, as is common, else the largest.
 */
INLINE void choose_offsets(const struct form *f, const float *k, const float *most,
                           const float *qt, long d, vec offsets[2]) {
  UNROLLED(long i = 0; i < 2; i++) { offsets[i] = splat(0); }
  for (long j = 0; j < d; j++) {
    UNROLLED(long i = 0; i < 2; i++) {
      vec q = load(qt + j * QUERIES + i * WIDTH);
      offsets[i] = fma_(larger(q, -q), splat(most[j]), offsets[i]);
    }
  }
  ivec small = (offsets[0] < splat(SMALL_SCORE)) & (offsets[1] < splat(SMALL_SCORE));
  UNROLLED(long i = 0; i < 2; i++) { offsets[i] = splat(0); }
  if (any(~small)) {
    largest_scores(f, k, qt, d, offsets);
  }
}

/** Powers of two of the scores of some keys. */
INLINE void score(const float *k, long row, long count, const float *qt, long d,
                  const vec offsets[2], float *scores, vec total[2]) {
  vec sums[SCORED][2];
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long i = 0; i < 2; i++) { sums[n][i] = -offsets[i]; }
  }
  dots(k, row, count, qt, QUERIES, d, sums);
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long i = 0; i < 2; i++) {
      vec e = power_of_two(sums[n][i]);
      total[i] += e;
      store(scores + n * QUERIES + i * WIDTH, e);
    }
  }
}

/** At most QUERIES queries and all keys. */
INLINE void forward(const struct form *f, const float *q, const float *k, const float *most,
                    const float *v, float *y, float *log_sum_exp, long count, long d, long dv,
                    float *scratch) {
  float *qt = scratch, *yt = qt + d * QUERIES, *scores = yt + dv * QUERIES;
  if (count < QUERIES) {
    memset(qt, 0, sizeof(float) * (size_t)(d * QUERIES));
  }
  to_columns(q, f->q_row, count, d, f->scale * LOG2_E, qt, QUERIES);
  vec offsets[2], total[2] = {splat(0), splat(0)};
  choose_offsets(f, k, most, qt, d, offsets);
  for (long first = 0; first < f->tk; first += KEYS) {
    long keys = least(KEYS, f->tk - first), key = 0;
    const float *block = k + first * f->q_row;
    for (; key + SCORED <= keys; key += SCORED) {
      score(block + key * f->q_row, f->q_row, SCORED, qt, d, offsets, scores + key * QUERIES, total);
    }
    for (; key + 2 <= keys; key += 2) {
      score(block + key * f->q_row, f->q_row, 2, qt, d, offsets, scores + key * QUERIES, total);
    }
    for (; key < keys; key++) {
      score(block + key * f->q_row, f->q_row, 1, qt, d, offsets, scores + key * QUERIES, total);
    }
    weigh(scores, QUERIES, keys, v + first * f->v_row, f->v_row, dv, yt, QUERIES, first > 0);
  }
  float factors[QUERIES];
  for (long i = 0; i < 2; i++) {
    store(factors + i * WIDTH, splat(1) / total[i]);
    long lanes = least(WIDTH, count - i * WIDTH);
    if (lanes > 0) {
      vec value = fma_(offsets[i], splat(LN_2), logarithm(total[i]));
      store_lanes(log_sum_exp + i * WIDTH, value, lanes);
    }
  }
  to_rows(yt, QUERIES, factors, count, dv, y, f->v_row);
}

/** All queries of a chunk, for one choice of d and dv. */
INLINE void forward_chunk(const struct form *f, const float *q, const float *k, const float *v,
                          float *y, float *log_sum_exp, long count, long d, long dv,
                          float *scratch) {
  float *most = scratch + QUERIES * (d + dv + KEYS);
  measure_keys(f, k, d, most);
  for (long i = 0; i < count; i += QUERIES) {
    forward(f, q + i * f->q_row, k, most, v, y + i * f->v_row, log_sum_exp + i,
            least(QUERIES, count - i), d, dv, scratch);
  }
}

/**
 * y and log_sum_exp of up to 256 queries of one head of one element of the batch.
 *
 * q [b, tq, heads * d], k [b, tk, heads * d], v [b, tk, heads * dv], y [b, tq, heads * dv],
 * log_sum_exp [b, heads, tq]. Chunks are numbered by batch, then head, then queries. scratch:
 * 33 * d + 32 * (dv + 64) floats.
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
 * to[n][lanes] = factor * sum over i of tile[n][i] * rows[i][lanes], or adds that. If paired, a
 * vector holds two rows by turns, so that half a vector's numbers fill it.
 */
INLINE void sum_rows(const float *tile, long width, const long keys, const float *rows, long row,
                     long count, long lanes, bool paired, float factor, float *to, long to_row,
                     bool adds) {
  vec sums[SUMMED];
  UNROLLED(long n = 0; n < keys; n++) { sums[n] = splat(0); }
  for (long i = 0; i < count; i += paired ? 2 : 1) {
    vec r = paired ? load(rows + i * row) : load_some(rows + i * row, lanes);
    UNROLLED(long n = 0; n < keys; n++) {
      const float *t = tile + n * width + i;
      sums[n] = fma_(paired ? splat_two(t) : splat(*t), r, sums[n]);
    }
  }
  UNROLLED(long n = 0; n < keys; n++) {
    float *at = to + n * to_row;
    vec sum = (paired ? add_pairs(sums[n]) : sums[n]) * factor;
    store_some(at, adds ? load_some(at, lanes) + sum : sum, lanes);
  }
}

/** As sum_rows with SUMMED keys or fewer. */
INLINE void sum_some_rows(const float *tile, long width, long keys, const float *rows, long row,
                          long count, long lanes, bool paired, float factor, float *to,
                          long to_row, bool adds) {
  switch (keys) {
#define CASE(N)                                                                                    \
  case N:                                                                                          \
    sum_rows(tile, width, N, rows, row, count, lanes, paired, factor, to, to_row, adds);           \
    break
    CASE(1);
    CASE(2);
    CASE(3);
    CASE(4);
    CASE(5);
    CASE(6);
    CASE(7);
    CASE(8);
    CASE(9);
    CASE(10);
    CASE(11);
    CASE(12);
    CASE(13);
    CASE(14);
    CASE(15);
    CASE(16);
#undef CASE
  }
}

/** to[key][j] = factor * sum over i of tile[key][i] * rows[i][j], or adds that. */
static void sum_queries(const float *tile, long width, long keys, const float *rows, long row,
                        long count, long d, float factor, float *to, long to_row, bool adds) {
  for (long j = 0; j < d; j += WIDTH) {
    sum_some_rows(tile, width, keys, rows + j, row, count, least(WIDTH, d - j), false, factor,
                  to + j, to_row, adds);
  }
}

/** The same of rows of WIDTH / 2 numbers in pairs. */
static void sum_paired_queries(const float *tile, long width, long keys, const float *pairs,
                               long count, float factor, float *to, long to_row, bool adds) {
  sum_some_rows(tile, width, keys, pairs, WIDTH / 2, count, WIDTH / 2, true, factor, to, to_row,
                adds);
}

/** Rows of WIDTH / 2 numbers, two by turns in a vector; a row of zeros after an odd number. */
INLINE void pair_rows(const float *from, long row, long count, float *pairs) {
  for (long i = 0; i < count; i += 2) {
    vec first = load_some(from + i * row, WIDTH / 2);
    vec second = i + 1 < count ? load_some(from + (i + 1) * row, WIDTH / 2) : splat(0);
    store(pairs + i * (WIDTH / 2), by_turns(first, second));
  }
}

/** Memory of a backward chunk, rows of `width` queries. */
struct columns {
  long width;
  float *qt, *dyt, *dqt, *logs, *dots, *p, *ds, *q_pairs, *dy_pairs;
};

/** p and ds of some keys with two vectors of queries from i on. */
INLINE void differentiate(const struct form *f, const struct columns *c, const float *k,
                          const float *v, long count, long tile, long i, long d, long dv) {
  vec p[SCORED][2], sums[SCORED][2];
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long h = 0; h < 2; h++) { p[n][h] = -load(c->logs + i + h * WIDTH); }
  }
  dots(k, f->q_row, count, c->qt + i, c->width, d, p);
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long h = 0; h < 2; h++) {
      p[n][h] = power_of_two(p[n][h]);
      store(c->p + (tile + n) * c->width + i + h * WIDTH, p[n][h]);
      sums[n][h] = -load(c->dots + i + h * WIDTH);
    }
  }
  dots(v, f->v_row, count, c->dyt + i, c->width, dv, sums);
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long h = 0; h < 2; h++) {
      store(c->ds + (tile + n) * c->width + i + h * WIDTH, p[n][h] * sums[n][h]);
    }
  }
}

/** Up to KEYS_BACKWARD keys with the `count` queries of a pass. */
INLINE void backward_keys(const struct form *f, const struct columns *c, const float *q,
                          const float *k, const float *v, const float *dy, float *dk, float *dv_,
                          long count, long keys, bool first_queries, bool first_keys, long d,
                          long dv) {
  for (long i = 0; i < c->width; i += QUERIES) {
    long key = 0;
#define SOME(N)                                                                                    \
  differentiate(f, c, k + key * f->q_row, v + key * f->v_row, N, key, i, d, dv), key += N
    while (key + SCORED <= keys) {
      SOME(SCORED);
    }
    while (key + 2 <= keys) {
      SOME(2);
    }
    while (key < keys) {
      SOME(1);
    }
#undef SOME
  }
  if (dv == WIDTH / 2) {
    sum_paired_queries(c->p, c->width, keys, c->dy_pairs, count, 1, dv_, f->v_row, !first_queries);
  } else {
    sum_queries(c->p, c->width, keys, dy, f->v_row, count, dv, 1, dv_, f->v_row, !first_queries);
  }
  if (d == WIDTH / 2) {
    sum_paired_queries(c->ds, c->width, keys, c->q_pairs, count, f->scale, dk, f->q_row,
                       !first_queries);
  } else {
    sum_queries(c->ds, c->width, keys, q, f->q_row, count, d, f->scale, dk, f->q_row,
                !first_queries);
  }
  for (long i = 0; i < c->width; i += QUERIES) {
    weigh(c->ds + i, c->width, keys, k, f->q_row, d, c->dqt + i, c->width, !first_keys);
  }
}

/** dots[i] = y[i] * dy[i]; dy comes as columns. */
INLINE void dot_rows(const struct form *f, const struct columns *c, const float *y, long count,
                     long dv) {
  const long whole = dv % 8 == 0 ? count & -WIDTH : 0;
  for (long i = 0; i < whole; i += WIDTH) {
    vec sum = splat(0);
    for (long j = 0; j < dv; j += 8) {
      vec columns[8];
      load_columns(y + i * f->v_row + j, f->v_row, columns);
      UNROLLED(long n = 0; n < 8; n++) {
        sum = fma_(columns[n], load(c->dyt + (j + n) * c->width + i), sum);
      }
    }
    store(c->dots + i, sum);
  }
  for (long i = whole; i < count; i++) {
    c->dots[i] = 0;
    for (long j = 0; j < dv; j++) {
      c->dots[i] += y[i * f->v_row + j] * c->dyt[j * c->width + i];
    }
  }
}

/** Queries as columns and as pairs, and what is known of them. */
INLINE void prepare(const struct form *f, const struct columns *c, const float *q, const float *y,
                    const float *log_sum_exp, const float *dy, long count, long d, long dv) {
  to_columns(q, f->q_row, count, d, f->scale * LOG2_E, c->qt, c->width);
  to_columns(dy, f->v_row, count, dv, 1, c->dyt, c->width);
  dot_rows(f, c, y, count, dv);
  for (long i = 0; i < count; i++) {
    c->logs[i] = log_sum_exp[i] * LOG2_E;
  }
  if (d == WIDTH / 2) {
    pair_rows(q, f->q_row, count, c->q_pairs);
  }
  if (dv == WIDTH / 2) {
    pair_rows(dy, f->v_row, count, c->dy_pairs);
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
  for (long first = 0; first == 0 || first < f->tq; first += PASS) {
    long count = least(PASS, f->tq - first);
    long width = (count + QUERIES - 1) / QUERIES * QUERIES;
    struct columns c = {.width = width, .qt = scratch};
    c.dyt = c.qt + d * width;
    c.dqt = c.dyt + dv * width;
    c.logs = c.dqt + d * width;
    c.dots = c.logs + width;
    c.p = c.dots + width;
    c.ds = c.p + KEYS_BACKWARD * width;
    c.q_pairs = c.ds + KEYS_BACKWARD * width;
    c.dy_pairs = c.q_pairs + (d == WIDTH / 2 ? d * width : 0);
    prepare(f, &c, q + first * f->q_row, y + first * f->v_row, log_sum_exp + first,
            dy + first * f->v_row, count, d, dv);
    for (long key = 0; key < f->tk; key += KEYS_BACKWARD) {
      backward_keys(f, &c, q + first * f->q_row, k + key * f->q_row, v + key * f->v_row,
                    dy + first * f->v_row, dk + key * f->q_row, dv_ + key * f->v_row, count,
                    least(KEYS_BACKWARD, f->tk - key), first == 0, key == 0, d, dv);
    }
    float *factors = c.logs; // no longer needed
    for (long i = 0; i < count; i++) {
      factors[i] = f->scale;
    }
    to_rows(c.dqt, width, factors, count, d, dq + first * f->q_row, f->q_row);
  }
}

/**
 * dq, dk and dv of one head of one element of the batch; sizes as in reverie_attention, chunks by
 * batch, then head. scratch: 256 * (3 * d + 2 * dv + 40) floats.
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
