// SPDX-License-Identifier: Apache-2.0
//
// Matrix products on the tile unit (AMX), which multiplies bfloat16 ten times as fast as the vector
// unit multiplies float. A float is cut into two bfloat16 planes, its rounding and the rounding of
// what that leaves over; three of the four products of planes count and are summed in float. The
// rms error is about 4e-6 of the result: exact enough for gradients.
//
// An operand is made of tiles of 16 by 32 numbers, 1 KB each. Left operand: row r of a tile holds 32
// neighbouring k of row r. Right operand: row q holds k = 2q and 2q + 1 of 16 columns, by turns.
// Both are the same 16 by 16 matrix of pairs, one the transpose of the other.
//
// Infinities become NaN, because planes of them do not cancel.
#ifndef REVERIE_AMX_H
#define REVERIE_AMX_H

#include "vector.h"

typedef uint16_t bf16;

enum {
  AMX_SIDE = 16,            // rows of a left tile, columns of a right one
  AMX_DEPTH = 32,           // k in a tile
  AMX_TILE = 512,           // bf16 in a tile
  AMX_PLANES = 2,
  AMX_BLOCK = 2 * AMX_SIDE  // rows and columns of a block of C
};

INLINE long amx_slices(long k) { return (k + AMX_DEPTH - 1) / AMX_DEPTH; }

/** Sets the unit up in this thread; amx_end must follow, for a set-up unit makes threads heavier. */
INLINE void amx_begin(void) {
  struct {
    uint8_t palette, start, none[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } __attribute__((packed)) form = {0};
  form.palette = 1;
  for (int i = 0; i < 8; i++) {
    form.row_bytes[i] = 64;
    form.rows[i] = AMX_SIDE;
  }
  _tile_loadconfig(&form);
}

INLINE void amx_end(void) { _tile_release(); }

/** The next plane of 32 numbers; takes it off them. */
INLINE ivec amx_plane(vec *low, vec *high) {
  __m512i plane = (__m512i)_mm512_cvtne2ps_pbh((__m512)*high, (__m512)*low);
  __m512i l = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(plane));
  __m512i h = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(plane, 1));
  *low -= (vec)_mm512_slli_epi32(l, 16);
  *high -= (vec)_mm512_slli_epi32(h, 16);
  return (ivec)plane;
}

/** Stores 32 neighbouring k of one row of a left tile, plane after plane. */
INLINE void amx_store(vec low, vec high, bf16 *to, long plane_step) {
#pragma GCC unroll 2
  for (int p = 0; p < AMX_PLANES; p++) {
    ivec plane = amx_plane(&low, &high);
    memcpy(to + p * plane_step, &plane, sizeof plane);
  }
}

/** Stores one row of a right tile from two neighbouring k of 16 columns, plane after plane. */
INLINE void amx_store_pairs(vec even, vec odd, bf16 *to, long plane_step) {
  const ivec first = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
  amx_store(__builtin_shuffle(even, odd, first), __builtin_shuffle(even, odd, first + 8), to,
            plane_step);
}

/** 16 rows of neighbouring k: the tiles of a left operand. */
INLINE void amx_pack_rows(const float *from, long row, long rows, long depth, bf16 *to,
                          long plane_step) {
  for (long r = 0; r < AMX_SIDE; r++, from += row) {
    vec low = {0}, high = {0};
    if (r < rows) {
      low = load_some(from, least(WIDTH, depth));
      high = depth > WIDTH ? load_some(from + WIDTH, depth - WIDTH) : high;
    }
    amx_store(low, high, to + r * AMX_DEPTH, plane_step);
  }
}

/** 32 k of neighbouring columns: the tiles of a right operand. */
INLINE void amx_pack_pairs(const float *from, long step, long columns, long depth, bf16 *to,
                           long plane_step) {
  for (long q = 0; q < AMX_SIDE; q++, from += 2 * step) {
    vec even = 2 * q < depth ? load_some(from, columns) : (vec){0};
    vec odd = 2 * q + 1 < depth ? load_some(from + step, columns) : (vec){0};
    amx_store_pairs(even, odd, to + q * AMX_DEPTH, plane_step);
  }
}

INLINE void amx_pack_some(const float *from, long row, long step, long rows, long depth, int right,
                          bf16 *to, long plane_step) {
  bf16 other[AMX_PLANES * AMX_TILE] __attribute__((aligned(64)));
  const int turned = right ? row != 1 : step != 1;
  bf16 *first = turned ? other : to;
  const long first_step = turned ? AMX_TILE : plane_step;
  if (step == 1) {
    amx_pack_rows(from, row, rows, depth, first, first_step);
  } else {
    amx_pack_pairs(from, step, rows, depth, first, first_step);
  }
  for (int p = 0; turned && p < AMX_PLANES; p++) {
    vec pairs[WIDTH]; // only moved, never computed with
    memcpy(pairs, other + p * AMX_TILE, sizeof pairs);
    transpose(pairs);
    memcpy(to + p * plane_step, pairs, sizeof pairs);
  }
}

/**
 * Cuts 16 rows (columns of a right operand) of 32 k into a tile for each plane; what lies past
 * `rows` or `depth` is zero.
 *
 * from: element (r, k) at from + r * row + k * step; one of both is 1
 */
INLINE void amx_pack(const float *from, long row, long step, long rows, long depth, int right,
                     bf16 *to, long plane_step) {
  if (rows >= AMX_SIDE && depth >= AMX_DEPTH) {
    amx_pack_some(from, row, step, AMX_SIDE, AMX_DEPTH, right, to, plane_step);
  } else {
    amx_pack_some(from, row, step, rows, depth, right, to, plane_step);
  }
}

#define AMX_LEFT(p)                                  \
  _tile_loadd(4, a + (p) * AMX_TILE, 64);            \
  if (down == 2) {                                   \
    _tile_loadd(5, a + a_tile + (p) * AMX_TILE, 64); \
  }
#define AMX_RIGHT(p)                                 \
  _tile_loadd(6, b + (p) * AMX_TILE, 64);            \
  if (across == 2) {                                 \
    _tile_loadd(7, b + b_tile + (p) * AMX_TILE, 64); \
  }
#define AMX_PRODUCTS            \
  _tile_dpbf16ps(0, 4, 6);      \
  if (across == 2) {            \
    _tile_dpbf16ps(1, 4, 7);    \
  }                             \
  if (down == 2) {              \
    _tile_dpbf16ps(2, 5, 6);    \
    if (across == 2) {          \
      _tile_dpbf16ps(3, 5, 7);  \
    }                           \
  }

/**
 * c = A·B over `slices` of 32 k, for `down` tiles of rows and `across` tiles of columns, 1 or 2.
 *
 * a, b: tiles of a slice's first rows and columns, plane after plane; the second rows a_tile
 *     farther, the next slice a_slice farther
 * c: rows c_row apart
 */
INLINE void amx_multiply(const int down, const int across, long slices, const bf16 *a, long a_tile, long a_slice, const bf16 *b, long b_tile,
                         long b_slice, float *c, long c_row) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (; slices > 0; slices--, a += a_slice, b += b_slice) {
    // Small products first; neighbours share an operand that is loaded once.
    AMX_LEFT(1) AMX_RIGHT(0) AMX_PRODUCTS
    AMX_LEFT(0) AMX_PRODUCTS
    AMX_RIGHT(1) AMX_PRODUCTS
  }
  _tile_stored(0, c, 4 * c_row);
  if (across == 2) {
    _tile_stored(1, c + AMX_SIDE, 4 * c_row);
  }
  if (down == 2) {
    _tile_stored(2, c + AMX_SIDE * c_row, 4 * c_row);
    if (across == 2) {
      _tile_stored(3, c + AMX_SIDE * c_row + AMX_SIDE, 4 * c_row);
    }
  }
}

#endif
