// SPDX-License-Identifier: Apache-2.0
//
// The gradient of attention.
//
// Tiles of scores are rows of keys. Gradients of keys and values are sums of the queries' rows as
// they came, each weighed by one number of a tile: no sums over lanes.
#include "attention.h"
#include "microkernel.h"

enum {
  /** Queries of a pass over all keys: what is known of them stays near. */
  PASS = 128,
  /** Keys whose scores are held at once: whole blocks of the inner kernel of products. */
  KEYS = WIDTH == 16 ? 2 * MICRO_ROWS : 4 * MICRO_ROWS,
  /** Keys that are differentiated at once. */
  TOGETHER = WIDTH == 16 ? 4 : 6,
  /** Rows of so many numbers fill half a vector, and are taken two at a time. */
  PAIRED = WIDTH == 16 ? 8 : 0,
};

/** Floats of a row after filling up to whole vectors. */
INLINE long padded(long d) { return (d + WIDTH - 1) / WIDTH * WIDTH; }

/** Rows one after another, each filled up to whole vectors with zeros. */
INLINE void copy_rows(const float *from, long row, long count, long d, float *to) {
  for (long i = 0; i < count; i++) {
    for (long j = 0; j < d; j += WIDTH) {
      store(to + i * padded(d) + j, load_lanes(from + i * row + j, d - j));
    }
  }
}

/** Two rows of PAIRED numbers interleaved in a vector; a row of zeros after an odd number. */
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

/** sums[n][0] += the pairs of rows, each weighed by two numbers of tile[n]. */
INLINE void add_paired(vec (*sums)[MICRO_COLS], const int keys, const float *tile,
                       const float *pairs, long count) {
  for (long i = 0; i < count; i += 2) {
    vec r = load(pairs + i * 8);
    UNROLLED(int n = 0; n < keys; n++) {
      sums[n][0] = fma_(splat_two(tile + n * PASS + i), r, sums[n][0]);
    }
  }
  UNROLLED(int n = 0; n < keys; n++) { sums[n][0] = add_pairs(sums[n][0]); }
}

/** A block of sum_queries: `lanes` columns of a few keys. */
INLINE void sum_block(const float *tile, const int keys, const float *rows, long count, long d,
                      long lanes, const int cols, float factor, float *to, long to_row, bool adds) {
  vec sums[MICRO_ROWS][MICRO_COLS];
  micro_zero(sums, keys, cols);
  if (d == PAIRED) {
    add_paired(sums, keys, tile, rows, count);
  } else {
    micro_add(sums, keys, cols, count, tile, PASS, 1, rows, padded(d));
  }
  UNROLLED(int n = 0; n < keys; n++) {
    UNROLLED(int j = 0; j < cols; j++) {
      float *at = to + n * to_row + j * WIDTH;
      vec sum = sums[n][j] * factor;
      store_lanes(at, adds ? load_lanes(at, lanes - j * WIDTH) + sum : sum, lanes - j * WIDTH);
    }
  }
}

/** to[key][j] = factor * sum over i of tile[key][i] * rows[i][j], or adds that. */
APART void sum_queries(const float *tile, long keys, const float *rows, long count, long d,
                       float factor, float *to, long to_row, bool adds) {
  for (long j = 0; j < d; j += MICRO_PANEL) {
    const int cols = micro_cols(j, d);
    for (long key = 0; key < keys;) {
      const int few = micro_few(keys - key);
#define CALL(R, C)                                                                                 \
  sum_block(tile + key * PASS, R, rows + j, count, d, d - j, C, factor, to + key * to_row + j,     \
            to_row, adds)
      MICRO_FEW_CASES(few, cols, CALL)
#undef CALL
      key += few;
    }
  }
}

/**
 * Memory of a pass: rows of PASS queries, of which `width` count, whole vectors; the queries' rows
 * and those of some keys, close together.
 */
struct columns {
  long width;
  float *qt, *dyt, *dqt, *logs, *dots, *p, *ds, *q, *dy, *k, *v;
};

/** p and ds of some keys with two vectors of queries from i on. */
INLINE void differentiate(const struct columns *c, long key, long count, long i, long d, long dv) {
  vec p[TOGETHER][2], sums[TOGETHER][2];
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long h = 0; h < 2; h++) { p[n][h] = -load(c->logs + i + h * WIDTH); }
  }
  dots(c->k + key * d, d, count, c->qt + i, PASS, d, p);
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long h = 0; h < 2; h++) {
      p[n][h] = power_of_two(p[n][h]);
      store(c->p + (key + n) * PASS + i + h * WIDTH, p[n][h]);
      sums[n][h] = -load(c->dots + i + h * WIDTH);
    }
  }
  dots(c->v + key * dv, dv, count, c->dyt + i, PASS, dv, sums);
  UNROLLED(long n = 0; n < count; n++) {
    UNROLLED(long h = 0; h < 2; h++) {
      store(c->ds + (key + n) * PASS + i + h * WIDTH,
            load(c->p + (key + n) * PASS + i + h * WIDTH) * sums[n][h]);
    }
  }
}

/** Up to KEYS keys with the `count` queries of a pass. */
INLINE void backward_keys(const struct attention *f, const struct columns *c, const float *k,
                          const float *v, float *dk, float *dv_, long count, long keys,
                          bool first_queries, bool first_keys, long d, long dv) {
  for (long key = 0; key < keys; key++) {
    memcpy(c->k + key * d, k + key * f->q_row, sizeof(float) * (size_t)d);
    memcpy(c->v + key * dv, v + key * f->v_row, sizeof(float) * (size_t)dv);
    // Rows lie a page apart, where no processor foresees the next.
    for (long j = 0; j < d; j += 16) {
      soon_read(k + (key + KEYS) * f->q_row + j);
      soon_written(dk + key * f->q_row + j);
    }
    for (long j = 0; j < dv; j += 16) {
      soon_read(v + (key + KEYS) * f->v_row + j);
      soon_written(dv_ + key * f->v_row + j);
    }
  }
  for (long i = 0; i < c->width; i += QUERIES) {
    long key = 0;
    for (; key + TOGETHER <= keys; key += TOGETHER) {
      differentiate(c, key, TOGETHER, i, d, dv);
    }
    for (; key + 2 <= keys; key += 2) {
      differentiate(c, key, 2, i, d, dv);
    }
    for (; key < keys; key++) {
      differentiate(c, key, 1, i, d, dv);
    }
  }
  sum_queries(c->p, keys, c->dy, count, dv, 1, dv_, f->v_row, !first_queries);
  sum_queries(c->ds, keys, c->q, count, d, f->scale, dk, f->q_row, !first_queries);
  for (long i = 0; i < c->width; i += QUERIES) {
    weigh(c->ds + i, PASS, keys, c->k, d, d, c->dqt + i, PASS, !first_keys);
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

/** Rows as sum_queries takes them. */
INLINE void keep_rows(const float *from, long row, long count, long d, float *to) {
  if (d == PAIRED) {
    pair_rows(from, row, count, to);
  } else {
    copy_rows(from, row, count, d, to);
  }
}

/** Queries as columns and as rows, and what is known of them. */
INLINE void prepare(const struct attention *f, const struct columns *c, const float *q, const float *y,
                    const float *log_sum_exp, const float *dy, long count, long d, long dv) {
  to_columns(q, f->q_row, count, d, f->scale * LOG2_E, c->qt, PASS);
  to_columns(dy, f->v_row, count, dv, 1, c->dyt, PASS);
  dot_rows(f, c, y, count, dv);
  for (long i = 0; i < count; i++) {
    c->logs[i] = log_sum_exp[i] * LOG2_E;
  }
  keep_rows(q, f->q_row, count, d, c->q);
  keep_rows(dy, f->v_row, count, dv, c->dy);
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
    c.q = c.ds + KEYS * PASS;
    c.dy = c.q + padded(d) * PASS;
    c.k = c.dy + padded(dv) * PASS;
    c.v = c.k + KEYS * d;
    prepare(f, &c, q + first * f->q_row, y + first * f->v_row, log_sum_exp + first,
            dy + first * f->v_row, count, d, dv);
    for (long key = 0; key < f->tk; key += KEYS) {
      backward_keys(f, &c, k + key * f->q_row, v + key * f->v_row, dk + key * f->q_row,
                    dv_ + key * f->v_row, count, least(KEYS, f->tk - key), first == 0, key == 0, d,
                    dv);
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
 * batch, then head. scratch: 128 * (4 * d + 3 * dv + 90) floats.
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
