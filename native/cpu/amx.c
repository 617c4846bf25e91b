// SPDX-License-Identifier: Apache-2.0
//
// Products of float matrices of any strides on the tile unit: the counterpart of gemm.c.
#ifdef AMX
#include "amx.h"

/**
 * Packs columns `first` to `end` of B (k by n), `first` a multiple of 32.
 *
 * b: element (p, j) at b + p * row + j * column; one of both is 1
 * to: k and n rounded up to 32, times terms, in all
 */
EXPORT void reverie_amx_pack(const float *b, long row, long column, long k, long n, long terms,
                             long first, long end, bf16 *to) {
  for (long j = first; j < least(end, n); j += AMX_BLOCK) {
    bf16 *at = to + j / AMX_BLOCK * amx_block(k, (int)terms);
    if (terms == 3) {
      amx_split(3, b + j * column, column, row, n - j, k, 1, at);
    } else {
      amx_split(2, b + j * column, column, row, n - j, k, 1, at);
    }
  }
}

/** A block of C and all that makes it. */
struct product {
  const bf16 *left, *right;
  long slices;
  /** Null for none. */
  const float *bias, *add;
  float *c;
  long c_row;
};

/** A block of four whole tiles to which at most one of bias and add is added. */
INLINE void in_place(const int terms, const struct product *p) {
  const float *start = p->add ? p->add : p->bias;
  const long start_row = p->add ? p->c_row : 0;
  amx_multiply(terms, 2, 2, p->slices, p->left, p->right, start, start_row, p->c, p->c_row);
}

/** Any block, by way of memory that has four whole tiles and begins with what is added. */
static void by_copy(const int terms, const struct product *p, long rows, long columns) {
  float block[AMX_BLOCK * AMX_BLOCK] __attribute__((aligned(64)));
  for (long r = 0; r < rows; r++) {
    for (long j = 0; j < columns; j += WIDTH) {
      vec start = p->bias ? load_lanes(p->bias + j, columns - j) : (vec){0};
      if (p->add) {
        start += load_lanes(p->add + r * p->c_row + j, columns - j);
      }
      store(block + r * AMX_BLOCK + j, start);
    }
  }
#define BLOCK(down, across)                                                                 \
  amx_multiply(terms, down, across, p->slices, p->left, p->right, block, AMX_BLOCK, block, \
               AMX_BLOCK)
  if (rows > AMX_SIDE) {
    if (columns > AMX_SIDE) {
      BLOCK(2, 2);
    } else {
      BLOCK(2, 1);
    }
  } else if (columns > AMX_SIDE) {
    BLOCK(1, 2);
  } else {
    BLOCK(1, 1);
  }
#undef BLOCK
  for (long r = 0; r < rows; r++) {
    for (long j = 0; j < columns; j += WIDTH) {
      store_lanes(p->c + r * p->c_row + j, load(block + r * AMX_BLOCK + j), columns - j);
    }
  }
}

INLINE void gemm(const int terms, const float *a, long a_row, long a_step, const bf16 *b, float *c,
                 long c_row, long m, long n, long k, const float *bias, const float *add,
                 bf16 *left) {
  // Steps that are split in less time than the unit needs to fall asleep.
  const long steps = terms == 2 && a_step == 1 ? 128 : 64;
  amx_begin();
  for (long r = 0; r < m; r += AMX_BLOCK) {
    for (long p = 0; p < k; p += steps) {
      amx_split(terms, a + r * a_row + p * a_step, a_row, a_step, m - r, least(steps, k - p), 0,
              left + amx_block(p, terms));
      amx_wake();
    }
    for (long j = 0; j < n; j += AMX_BLOCK) {
      const bf16 *right = b + j / AMX_BLOCK * amx_block(k, terms);
      const long at = r * c_row + j;
      struct product p = {left, right, amx_slices(k), bias ? bias + j : 0, add ? add + at : 0,
                          c + at, c_row};
      const long rows = least(AMX_BLOCK, m - r), columns = least(AMX_BLOCK, n - j);
      if (rows == AMX_BLOCK && columns == AMX_BLOCK && !(bias && add)) {
        in_place(terms, &p);
      } else {
        by_copy(terms, &p, rows, columns);
      }
    }
  }
  amx_end();
}

/**
 * C[m, n] = A·B (+ bias[n]) (+ add[m, n], with C's strides).
 *
 * a: element (r, p) at a + r * a_row + p * a_step; one of both is 1
 * b: packed by reverie_amx_pack
 * left: room for 32 rows of A: 32 times k rounded up to 32, times terms
 */
EXPORT void reverie_amx_gemm(const float *a, long a_row, long a_step, const bf16 *b, float *c,
                             long c_row, long m, long n, long k, long terms, const float *bias,
                             const float *add, bf16 *left) {
  if (terms == 3) {
    gemm(3, a, a_row, a_step, b, c, c_row, m, n, k, bias, add, left);
  } else {
    gemm(2, a, a_row, a_step, b, c, c_row, m, n, k, bias, add, left);
  }
}
#endif
