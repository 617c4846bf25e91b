// SPDX-License-Identifier: Apache-2.0
//
// Attention.
//
// Scores are summed, made powers of two and added up in registers. They need no maximum where none
// can be large, which a bound tells before; else the largest is where the sums start.
#include "attention.h"

enum {
  /** Queries of a block. */
  MAX_QUERIES = 256,
  /** Keys whose scores are held at once. */
  KEYS = 64,
};

/** Scores up to this are exponents as they are: 2^60 times any sensible number is finite. */
static const float SMALL_SCORE = 60;

/** key_bounds[j] = the largest |k[key][j]|. */
INLINE void measure_keys(const struct attention *f, const float *k, long d, float *key_bounds) {
  for (long j = 0; j < d; j += WIDTH) {
    vec m = splat(0);
    for (long key = 0; key < f->tk; key++) {
      vec x = load_lanes(k + key * f->q_row + j, d - j);
      m = larger(m, larger(x, -x));
    }
    store_lanes(key_bounds + j, m, d - j);
  }
}

/** The largest scores of two vectors of queries. */
INLINE void largest_scores(const struct attention *f, const float *k, const float *qt, long d,
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
 * large, as is common, else the largest. So is a single one, which then is log_sum_exp exactly.
 */
INLINE void choose_offsets(const struct attention *f, const float *k, const float *key_bounds,
                           const float *qt, long d, vec offsets[2]) {
  UNROLLED(long i = 0; i < 2; i++) { offsets[i] = splat(0); }
  for (long j = 0; j < d; j++) {
    UNROLLED(long i = 0; i < 2; i++) {
      vec q = load(qt + j * QUERIES + i * WIDTH);
      offsets[i] = fma_(larger(q, -q), splat(key_bounds[j]), offsets[i]);
    }
  }
  ivec small = (offsets[0] < splat(SMALL_SCORE)) & (offsets[1] < splat(SMALL_SCORE));
  UNROLLED(long i = 0; i < 2; i++) { offsets[i] = splat(0); }
  if (any(~small) || f->tk == 1) {
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

/** What is known of two vectors of queries: themselves as columns, and sums over keys so far. */
struct queries {
  float *qt, *yt, *offsets, *total;
};

/** Two vectors of a block's queries. */
INLINE struct queries some_queries(float *block, long first, long d, long dv) {
  float *offsets = block + MAX_QUERIES * (d + dv);
  return (struct queries){block + first * d, block + MAX_QUERIES * d + first * dv, offsets + first,
                          offsets + MAX_QUERIES + first};
}

/** Before the first keys. */
INLINE void begin(const struct attention *f, const float *q, const float *k, const float *key_bounds,
                  const struct queries *c, long count, long d) {
  if (count < QUERIES) {
    memset(c->qt, 0, sizeof(float) * (size_t)(d * QUERIES));
  }
  to_columns(q, f->q_row, count, d, f->scale * LOG2_E, c->qt, QUERIES);
  vec offsets[2];
  choose_offsets(f, k, key_bounds, c->qt, d, offsets);
  for (long i = 0; i < 2; i++) {
    store(c->offsets + i * WIDTH, offsets[i]);
    store(c->total + i * WIDTH, splat(0));
  }
}

/** Adds some keys' values. */
APART void add_keys(const float *k, const float *v, const struct queries *c, long keys,
                    float *scores, bool adds, long d, long dv) {
  vec offsets[2], total[2];
  UNROLLED(long i = 0; i < 2; i++) {
    offsets[i] = load(c->offsets + i * WIDTH);
    total[i] = load(c->total + i * WIDTH);
  }
  long key = 0;
  for (; key + SCORED <= keys; key += SCORED) {
    score(k + key * d, d, SCORED, c->qt, d, offsets, scores + key * QUERIES, total);
  }
  for (; key + 2 <= keys; key += 2) {
    score(k + key * d, d, 2, c->qt, d, offsets, scores + key * QUERIES, total);
  }
  for (; key < keys; key++) {
    score(k + key * d, d, 1, c->qt, d, offsets, scores + key * QUERIES, total);
  }
  UNROLLED(long i = 0; i < 2; i++) { store(c->total + i * WIDTH, total[i]); }
  weigh(scores, QUERIES, keys, v, dv, dv, c->yt, QUERIES, adds);
}

/** After the last keys. */
INLINE void finish(const struct attention *f, const struct queries *c, float *y, float *log_sum_exp,
                   long count, long dv) {
  float factors[QUERIES];
  for (long i = 0; i < 2; i++) {
    vec total = load(c->total + i * WIDTH);
    store(factors + i * WIDTH, splat(1) / total);
    long lanes = least(WIDTH, count - i * WIDTH);
    if (lanes > 0) {
      vec value = fma_(load(c->offsets + i * WIDTH), splat(LN_2), logarithm(total));
      store_lanes(log_sum_exp + i * WIDTH, value, lanes);
    }
  }
  to_rows(c->yt, QUERIES, factors, count, dv, y, f->v_row);
}

/**
 * All queries of a block, for one choice of d and dv. Some keys at a time, close together, for their
 * rows lie a page apart.
 */
INLINE void forward_block(const struct attention *f, const float *q, const float *k, const float *v,
                          float *y, float *log_sum_exp, long count, long d, long dv,
                          float *scratch) {
  float *scores = scratch, *near_k = scores + QUERIES * KEYS, *near_v = near_k + KEYS * d;
  float *block = near_v + KEYS * dv, *key_bounds = block + MAX_QUERIES * (d + dv + 2);
  measure_keys(f, k, d, key_bounds);
  for (long i = 0; i < count; i += QUERIES) {
    struct queries c = some_queries(block, i, d, dv);
    begin(f, q + i * f->q_row, k, key_bounds, &c, least(QUERIES, count - i), d);
  }
  for (long first = 0; first < f->tk; first += KEYS) {
    long keys = least(KEYS, f->tk - first);
    for (long key = 0; key < keys; key++) {
      memcpy(near_k + key * d, k + (first + key) * f->q_row, sizeof(float) * (size_t)d);
      memcpy(near_v + key * dv, v + (first + key) * f->v_row, sizeof(float) * (size_t)dv);
    }
    for (long i = 0; i < count; i += QUERIES) {
      struct queries c = some_queries(block, i, d, dv);
      add_keys(near_k, near_v, &c, keys, scores, first > 0, d, dv);
    }
  }
  for (long i = 0; i < count; i += QUERIES) {
    struct queries c = some_queries(block, i, d, dv);
    finish(f, &c, y + i * f->v_row, log_sum_exp + i, least(QUERIES, count - i), dv);
  }
}

/**
 * y and log_sum_exp of up to 256 queries of one head of one element of the batch.
 *
 * q [b, tq, heads * d], k [b, tk, heads * d], v [b, tk, heads * dv], y [b, tq, heads * dv],
 * log_sum_exp [b, heads, tq]. Chunks are numbered by batch, then head, then queries. scratch:
 * 321 * d + 320 * dv + 2560 floats.
 */
EXPORT void reverie_attention(const float *q, const float *k, const float *v, float *y,
                              float *log_sum_exp, long tq, long tk, long heads, long d, long dv,
                              float scale, long block, float *scratch) {
  struct attention f = {tq, tk, heads * d, heads * dv, scale};
  long blocks = (tq + MAX_QUERIES - 1) / MAX_QUERIES;
  long first = block % blocks * MAX_QUERIES, head = block / blocks % heads;
  long b = block / blocks / heads, count = least(MAX_QUERIES, tq - first);
  q += (b * tq + first) * f.q_row + head * d;
  k += b * tk * f.q_row + head * d;
  v += b * tk * f.v_row + head * dv;
  y += (b * tq + first) * f.v_row + head * dv;
  log_sum_exp += (b * heads + head) * tq + first;
#define CALL(D, DV) forward_block(&f, q, k, v, y, log_sum_exp, count, D, DV, scratch)
  HEAD_CASES(d, dv, CALL)
#undef CALL
}
