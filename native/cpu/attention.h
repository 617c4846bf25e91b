// SPDX-License-Identifier: Apache-2.0
//
// Attention and its gradient, a head at a time, without a matrix of all scores (Dao et al. 2022).
//
// Queries run across the lanes: queries are transposed once, and every score of
// WIDTH queries with one key is d multiplications by single numbers of the key, which lies in
// memory as it came. So narrow heads fill whole vectors, softmax needs no sums within a vector, and
// keys need no padding. Exponentials are powers of two: queries are multiplied by log2(e) before.
#ifndef REVERIE_ATTENTION_H
#define REVERIE_ATTENTION_H

#include <stdbool.h>

#include "functions.h"

enum {
  /** Queries whose scores are computed at once: two vectors. */
  QUERIES = 2 * WIDTH,
  /** Keys whose scores are computed at once. */
  SCORED = 4,
  /** Columns of a product that are summed at once, two vectors each, in half of the registers. */
  COLUMNS = WIDTH / 2,
};

static const float LN_2 = 0.6931471805599453f;

/** Runs CALL(d, dv) with both as constants where both are one of the usual widths. */
#define HEAD_CASE(D, CALL) \
  case D:                  \
    CALL(D, D);            \
    break;
#ifndef HEAD_CASES
#define HEAD_CASES(d, dv, CALL)                                                      \
  switch ((d) == (dv) ? (d) : 0) {                                                   \
    HEAD_CASE(8, CALL) HEAD_CASE(16, CALL) HEAD_CASE(32, CALL) HEAD_CASE(40, CALL)   \
    HEAD_CASE(64, CALL)                                                              \
    default:                                                                         \
      CALL(d, dv);                                                                   \
  }
#endif

/** Sizes and distances between rows; heads lie beside each other in a row. */
struct attention {
  long tq, tk, q_row, v_row;
  float scale;
};

/** WIDTH rows of 8 numbers as 8 columns. */
INLINE void load_columns(const float *from, long row, vec columns[8]) {
  UNROLLED(long i = 0; i < 8; i++, from += row) { columns[i] = load_eights(from, 8 * row); }
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
  for (long i = eights < d ? 0 : whole; i < count; i++) {
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
  for (long i = eights < d ? 0 : whole; i < count; i++) {
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
  for (; d % COLUMNS != 0 && j < d; j++) {
    weigh_columns(weights, weight_row, keys, rows + j, row, 1, to + j * to_row, to_row, adds);
  }
}

#endif
