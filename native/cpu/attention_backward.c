// SPDX-License-Identifier: Apache-2.0
//
// The gradient of attention.
//
// Tiles of scores are rows of keys. Gradients of keys and values are sums of the queries' rows as
// they came, each weighed by one number of a tile: no sums over lanes.
#include "attention.h"

enum {
  /** Queries of a pass over all keys: what is known of them stays in the L1. */
  PASS = 128,
  /** Keys whose scores are held at once. */
  KEYS = 16,
  /** Rows of so many numbers fill half a vector, and are taken two at a time. */
  PAIRED = WIDTH == 16 ? 8 : 0,
};

/**
 * to[n][lanes] = factor * sum over i of tile[n][i] * rows[i][lanes], or adds that. If paired, a
 * vector holds two rows, interleaved, so that half a vector's numbers fill it.
 */
INLINE void sum_rows(const float *tile, const long keys, const float *rows, long row, long count,
                     long lanes, bool paired, float factor, float *to, long to_row, bool adds) {
  vec sums[KEYS];
  UNROLLED(long n = 0; n < keys; n++) { sums[n] = splat(0); }
  for (long i = 0; i < count; i += paired ? 2 : 1) {
    vec r = paired ? load(rows + i * row) : load_some(rows + i * row, lanes);
    UNROLLED(long n = 0; n < keys; n++) {
      const float *t = tile + n * PASS + i;
      sums[n] = fma_(paired ? splat_two(t) : splat(*t), r, sums[n]);
    }
  }
  UNROLLED(long n = 0; n < keys; n++) {
    float *at = to + n * to_row;
    vec sum = (paired ? add_pairs(sums[n]) : sums[n]) * factor;
    store_some(at, adds ? load_some(at, lanes) + sum : sum, lanes);
  }
}

/** As sum_rows with KEYS keys or fewer. */
INLINE void sum_some_rows(const float *tile, long keys, const float *rows, long row, long count,
                          long lanes, bool paired, float factor, float *to, long to_row,
                          bool adds) {
  switch (keys) {
#define CASE(N)                                                                                    \
  case N:                                                                                          \
    sum_rows(tile, N, rows, row, count, lanes, paired, factor, to, to_row, adds);                  \
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
static void sum_queries(const float *tile, long keys, const float *rows, long row, long count,
                        long d, float factor, float *to, long to_row, bool adds) {
  for (long j = 0; j < d; j += WIDTH) {
    sum_some_rows(tile, keys, rows + j, row, count, least(WIDTH, d - j), false, factor, to + j,
                  to_row, adds);
  }
}

/** The same of rows of PAIRED numbers in pairs. */
static void sum_paired_queries(const float *tile, long keys, const float *pairs, long count,
                               float factor, float *to, long to_row, bool adds) {
  sum_some_rows(tile, keys, pairs, 8, count, 8, true, factor, to, to_row, adds);
}

/** Two rows interleaved in a vector; a row of zeros after an odd number. */
INLINE void pair_rows(const float *from, long row, long count, float *pairs) {
  const ivec interleave = LANES / 2 + LANES % 2 * 8;
  long i = 0;
  for (; i + 2 <= count; i += 2) {
    store(pairs + i * 8, __builtin_shuffle(load_eights(from + i * row, row), interleave));
  }
  if (i < count) {
    store(pairs + i * 8, __builtin_shuffle(load_some(from + i * row, 8), interleave));
  }
}

/** Memory of a pass: rows of PASS queries, of which `width` count, whole vectors. */
struct columns {
  long width;
  float *qt, *dyt, *dqt, *logs, *dots, *p, *ds, *q_pairs, *dy_pairs;
};

/** p and ds of some keys with two vectors of queries from i on. */
INLINE void differentiate(const struct attention *f, const struct columns *c, const float *k,
                          const float *v, long count, long tile, long i, long d, long dv) {
  vec p[SCORED][2], sums[SCORED][2];
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long h = 0; h < 2; h++) { p[n][h] = -load(c->logs + i + h * WIDTH); }
  }
  dots(k, f->q_row, count, c->qt + i, PASS, d, p);
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long h = 0; h < 2; h++) {
      p[n][h] = power_of_two(p[n][h]);
      store(c->p + (tile + n) * PASS + i + h * WIDTH, p[n][h]);
      sums[n][h] = -load(c->dots + i + h * WIDTH);
    }
  }
  dots(v, f->v_row, count, c->dyt + i, PASS, dv, sums);
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long h = 0; h < 2; h++) {
      store(c->ds + (tile + n) * PASS + i + h * WIDTH, p[n][h] * sums[n][h]);
    }
  }
}

/** Up to KEYS keys with the `count` queries of a pass. */
INLINE void backward_keys(const struct attention *f, const struct columns *c, const float *q,
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
  if (dv == PAIRED) {
    sum_paired_queries(c->p, keys, c->dy_pairs, count, 1, dv_, f->v_row, !first_queries);
  } else {
    sum_queries(c->p, keys, dy, f->v_row, count, dv, 1, dv_, f->v_row, !first_queries);
  }
  if (d == PAIRED) {
    sum_paired_queries(c->ds, keys, c->q_pairs, count, f->scale, dk, f->q_row, !first_queries);
  } else {
    sum_queries(c->ds, keys, q, f->q_row, count, d, f->scale, dk, f->q_row, !first_queries);
  }
  for (long i = 0; i < c->width; i += QUERIES) {
    weigh(c->ds + i, PASS, keys, k, f->q_row, d, c->dqt + i, PASS, !first_keys);
  }
}

/** dots[i] = y[i]·dy[i]; dy comes as columns. */
INLINE void dot_rows(const struct attention *f, const struct columns *c, const float *y, long count,
                     long dv) {
  const long whole = dv % 8 == 0 ? count & -WIDTH : 0;
  for (long i = 0; i < whole; i += WIDTH) {
    vec sum = splat(0);
    for (long j = 0; j < dv; j += 8) {
      vec columns[8];
      load_columns(y + i * f->v_row + j, f->v_row, columns);
      UNROLLED(long n = 0; n < 8; n++) {
        sum = fma_(columns[n], load(c->dyt + (j + n) * PASS + i), sum);
      }
    }
    store(c->dots + i, sum);
  }
  for (long i = whole; i < count; i++) {
    c->dots[i] = 0;
    for (long j = 0; j < dv; j++) {
      c->dots[i] += y[i * f->v_row + j] * c->dyt[j * PASS + i];
    }
  }
}

/** Queries as columns and as pairs, and what is known of them. */
INLINE void prepare(const struct attention *f, const struct columns *c, const float *q, const float *y,
                    const float *log_sum_exp, const float *dy, long count, long d, long dv) {
  to_columns(q, f->q_row, count, d, f->scale * LOG2_E, c->qt, PASS);
  to_columns(dy, f->v_row, count, dv, 1, c->dyt, PASS);
  dot_rows(f, c, y, count, dv);
  for (long i = 0; i < count; i++) {
    c->logs[i] = log_sum_exp[i] * LOG2_E;
  }
  if (d == PAIRED) {
    pair_rows(q, f->q_row, count, c->q_pairs);
  }
  if (dv == PAIRED) {
    pair_rows(dy, f->v_row, count, c->dy_pairs);
  }
  // Lanes without a query repeat the last one with no gradient: finite if that one is.
  for (long i = count; i < c->width; i++) {
    c->dots[i] = 0;
    c->logs[i] = c->logs[count - 1];
    for (long j = 0; j < d; j++) {
      c->qt[j * PASS + i] = c->qt[j * PASS + count - 1];
    }
    for (long j = 0; j < dv; j++) {
      c->dyt[j * PASS + i] = 0;
    }
  }
}

/** One head. */
INLINE void backward(const struct attention *f, const float *q, const float *k, const float *v,
                     const float *y, const float *log_sum_exp, const float *dy, float *dq,
                     float *dk, float *dv_, long d, long dv, float *scratch) {
  // Without queries one pass over nothing writes zeros.
  for (long first = 0; first == 0 || first < f->tq; first += PASS) {
    long count = least(PASS, f->tq - first);
    struct columns c = {.width = (count + QUERIES - 1) / QUERIES * QUERIES, .qt = scratch};
    c.dyt = c.qt + d * PASS;
    c.dqt = c.dyt + dv * PASS;
    c.logs = c.dqt + d * PASS;
    c.dots = c.logs + PASS;
    c.p = c.dots + PASS;
    c.ds = c.p + KEYS * PASS;
    c.q_pairs = c.ds + KEYS * PASS;
    c.dy_pairs = c.q_pairs + (d == PAIRED ? d * PASS : 0);
    prepare(f, &c, q + first * f->q_row, y + first * f->v_row, log_sum_exp + first,
            dy + first * f->v_row, count, d, dv);
    for (long key = 0; key < f->tk; key += KEYS) {
      backward_keys(f, &c, q + first * f->q_row, k + key * f->q_row, v + key * f->v_row,
                    dy + first * f->v_row, dk + key * f->q_row, dv_ + key * f->v_row, count,
                    least(KEYS, f->tk - key), first == 0, key == 0, d, dv);
    }
    float *factors = c.logs; // no longer needed
    for (long i = 0; i < count; i++) {
      factors[i] = f->scale;
    }
    to_rows(c.dqt, PASS, factors, count, d, dq + first * f->q_row, f->q_row);
  }
}

/**
 * dq, dk and dv of one head of one element of the batch; sizes as in reverie_attention, blocks by
 * batch, then head. scratch: 128 * (3 * d + 2 * dv + 34) floats.
 */
EXPORT void reverie_attention_backward(const float *q, const float *k, const float *v,
                                       const float *y, const float *log_sum_exp, const float *dy,
                                       float *dq, float *dk, float *dv_, long tq, long tk,
                                       long heads, long d, long dv, float scale, long block,
                                       float *scratch) {
  struct attention f = {tq, tk, heads * d, heads * dv, scale};
  long b = block / heads, head = block % heads;
  long from_q = b * tq * f.q_row + head * d, from_k = b * tk * f.q_row + head * d;
  long from_v = b * tk * f.v_row + head * dv, from_y = b * tq * f.v_row + head * dv;
  q += from_q, dq += from_q;
  k += from_k, dk += from_k;
  v += from_v, dv_ += from_v;
  y += from_y, dy += from_y;
  log_sum_exp += block * tq;
#define CALL(D, DV) backward(&f, q, k, v, y, log_sum_exp, dy, dq, dk, dv_, D, DV, scratch)
  HEAD_CASES(d, dv, CALL)
#undef CALL
}
