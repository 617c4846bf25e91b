// SPDX-License-Identifier: Apache-2.0
//
// Products of float matrices of any strides on the tile unit: the counterpart of gemm.c.
#ifdef AMX
#include "amx.h"

/**
 * Packs columns `first` to `end` of B (k by n), `first` a multiple of 32: for every 32 columns the
 * slices of k, in each slice two tiles of columns, in each tile its planes.
 *
 * b: element (p, j) at b + p * row + j * column; one of both is 1
 * to: slices * 2 * AMX_PLANES * AMX_TILE bf16 for every 32 columns
 */
EXPORT void reverie_amx_pack(const float *b, long row, long column, long k, long n, long first,
                             long end, bf16 *to) {
  const long slices = amx_slices(k), tile = AMX_PLANES * AMX_TILE;
  for (long j = first; j < least(end, n); j += AMX_SIDE) {
    bf16 *at = to + (j / AMX_BLOCK * slices * 2 + j / AMX_SIDE % 2) * tile;
    for (long s = 0; s < slices; s++, at += 2 * tile) {
      const float *from = b + s * AMX_DEPTH * row + j * column;
      const long columns = least(AMX_SIDE, n - j), depth = least(AMX_DEPTH, k - s * AMX_DEPTH);
      amx_pack(from, column, row, columns, depth, 1, at, AMX_TILE);
    }
  }
}

/** Writes rows of a block of C with what is added to them. */
INLINE void finish_columns(const float *block, long rows, long count, const float *add, float *c,
                           long c_row) {
  for (long r = 0; r < rows; r++) {
    vec sum = load(block + r * AMX_BLOCK);
    if (add) {
      sum += load_some(add + r * c_row, count);
    }
    store_some(c + r * c_row, sum, count);
  }
}

static void finish(const float *block, long rows, long columns, const float *add, float *c,
                   long c_row) {
  for (long j = 0; j < columns; j += WIDTH) {
    const float *added = add ? add + j : 0;
    if (columns - j >= WIDTH) {
      finish_columns(block + j, rows, WIDTH, added, c + j, c_row);
    } else {
      finish_columns(block + j, rows, columns - j, added, c + j, c_row);
    }
  }
}

/**
 * C[m, n] = A·B (+ add[m, n], with C's strides).
 *
 * a: element (r, p) at a + r * a_row + p * a_step; one of both is 1
 * b: packed by reverie_amx_pack
 * left: room for A: m rounded up to 16, times k rounded up to 32, times AMX_PLANES
 */
EXPORT void reverie_amx_gemm(const float *a, long a_row, long a_step, const bf16 *b, float *c,
                             long c_row, long m, long n, long k, const float *add, bf16 *left) {
  const long slices = amx_slices(k), tile = AMX_PLANES * AMX_TILE;
  const long row_tiles = (m + AMX_SIDE - 1) / AMX_SIDE;
  for (long t = 0; t < row_tiles; t++) {
    for (long s = 0; s < slices; s++) {
      amx_pack(a + t * AMX_SIDE * a_row + s * AMX_DEPTH * a_step, a_row, a_step,
               least(AMX_SIDE, m - t * AMX_SIDE), least(AMX_DEPTH, k - s * AMX_DEPTH), 0,
               left + (t * slices + s) * tile, AMX_TILE);
    }
  }
  float block[AMX_BLOCK * AMX_BLOCK] __attribute__((aligned(64)));
  amx_begin();
  for (long j = 0; j < n; j += AMX_BLOCK) {
    const bf16 *right = b + j / AMX_BLOCK * slices * 2 * tile;
    for (long r = 0; r < m; r += AMX_BLOCK) {
      const bf16 *rows = left + r / AMX_SIDE * slices * tile;
#define BLOCK(down, across)                                                                   \
  amx_multiply(down, across, slices, rows, slices * tile, tile, right, tile, 2 * tile, block, \
               AMX_BLOCK)
      if (m - r > AMX_SIDE) {
        if (n - j > AMX_SIDE) {
          BLOCK(2, 2);
        } else {
          BLOCK(2, 1);
        }
      } else if (n - j > AMX_SIDE) {
        BLOCK(1, 2);
      } else {
        BLOCK(1, 1);
      }
#undef BLOCK
      finish(block, least(AMX_BLOCK, m - r), least(AMX_BLOCK, n - j),
             add ? add + r * c_row + j : 0, c + r * c_row + j, c_row);
    }
  }
  amx_end();
}
#endif
