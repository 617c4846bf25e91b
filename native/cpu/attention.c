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

/** At most QUERIES queries and all keys. */
INLINE void forward(const struct attention *f, const float *q, const float *k, const float *key_bounds,
                    const float *v, float *y, float *log_sum_exp, long count, long d, long dv,
                    float *scratch) {
  float *qt = scratch, *yt = qt + d * QUERIES, *scores = yt + dv * QUERIES;
  if (count < QUERIES) {
    memset(qt, 0, sizeof(float) * (size_t)(d * QUERIES));
  }
  to_columns(q, f->q_row, count, d, f->scale * LOG2_E, qt, QUERIES);
  vec offsets[2], total[2] = {splat(0), splat(0)};
  choose_offsets(f, k, key_bounds, qt, d, offsets);
  for (long first = 0; first < f->tk; first += KEYS) {
    long keys = least(KEYS, f->tk - first), key = 0;
    const float *block = k + first * f->q_row;
    for (; key + SCORED <= keys; key += SCORED) {
      score(block + key * f->q_row, f->q_row, SCORED, qt, d, offsets, scores + key * QUERIES,
            total);
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

/** All queries of a block, for one choice of d and dv. */
INLINE void forward_block(const struct attention *f, const float *q, const float *k, const float *v,
                          float *y, float *log_sum_exp, long count, long d, long dv,
                          float *scratch) {
  float *key_bounds = scratch + QUERIES * (d + dv + KEYS);
  measure_keys(f, k, d, key_bounds);
  for (long i = 0; i < count; i += QUERIES) {
    forward(f, q + i * f->q_row, k, key_bounds, v, y + i * f->v_row, log_sum_exp + i,
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
