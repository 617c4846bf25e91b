// SPDX-License-Identifier: Apache-2.0
//
// Matrix products on the tile unit (AMX), which multiplies bfloat16 sixteen times as fast as the
// vector unit multiplies float. A float is the sum of bfloat16 terms, and a product the sum of the
// products of terms that count, added in float:
//
//   bf16x3, 6 products   split exactly, three terms are the whole number; what is left out
//                          is less than float's own rounding
//   bf16x2, 3 products   rounded, rms error 4.4e-6 of the result, twice as fast: for linear layers
//                          and gradients
//
// An operand is made of tiles of 16 rows (columns of a right operand) by 32 k, 1 KB each. Lane q of a
// row holds the pair of k = q and k = q + 16. In a left operand a row of memory is a row of the tile;
// in a right one memory has the pairs q of all columns together, which is the transpose.
//
// Infinities become NaN, because terms of them do not cancel.
#ifndef REVERIE_AMX_H
#define REVERIE_AMX_H

#include "vector.h"

typedef uint16_t bf16;

enum {
  AMX_SIDE = 16,             // rows of a left tile, columns of a right one
  AMX_DEPTH = 32,            // k in a tile
  AMX_TILE = 512,            // bf16 in a tile
  AMX_BLOCK = 2 * AMX_SIDE   // rows and columns of a block of C
};

INLINE long amx_slices(long k) { return (k + AMX_DEPTH - 1) / AMX_DEPTH; }

/** Numbers from one block of rows or columns to the next, which has `slices` of two tiles. */
INLINE long amx_block(long k, int terms) { return 2 * amx_slices(k) * terms * AMX_TILE; }

/** What was written must be in memory now: compilers do not know what the unit reads there. */
INLINE void amx_written(void) { __asm__ volatile("" ::: "memory"); }

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
  amx_written();
  _tile_loadconfig(&form);
}

/**
 * Keeps the unit awake, in tile 0: half a microsecond after its last product it falls asleep, and the
 * next one takes 300 ns, half of what 32 by 32 products over 128 k take.
 */
INLINE void amx_wake(void) { _tile_dpbf16ps(0, 4, 6); }

INLINE void amx_end(void) { _tile_release(); }

/** Takes the next term off x: the part that a bfloat16 holds, rounded where x loses its tail. */
INLINE vec amx_head(const int terms, vec *x) {
  vec head = (vec)(((uvec)*x + (terms == 3 ? 0 : 0x8000u)) & ~0xffffu);
  *x -= head;
  return head;
}

/**
 * The last term, whose upper half counts: rounded where that is not all, half a unit being a
 * 370th of it on average. A factor and no sum, for it keeps every NaN, which rounding by integers
 * may have made a number above.
 */
INLINE vec amx_last(const int terms, vec x) { return terms == 3 ? x : x * 1.0027f; }

/** Pairs of k = q, in the low half, and k = q + 16: term after term, `step` apart. */
INLINE void amx_pairs(const int terms, vec low, vec high, vec *to, long step) {
#pragma GCC unroll 3
  for (int p = 0; p < terms; p++) {
    const int last = p + 1 == terms;
    vec l = last ? amx_last(terms, low) : amx_head(terms, &low);
    vec h = last ? amx_last(terms, high) : amx_head(terms, &high);
    // Heads have no lower half.
    ivec upper = last ? (ivec)h & ~0xffff : (ivec)h;
    to[p * step] = (vec)(upper | (ivec)((uvec)l >> 16));
  }
}

/**
 * Splits 16 rows of 32 k into a tile for each term; what lies past `rows` or `depth` is zero.
 *
 * from: element (r, k) at from + r * row + k * step; one of both is 1
 * right: pairs of all rows lie together
 */
INLINE void amx_tile(const int terms, const float *from, long row, long step, long rows,
                     long depth, const int right, bf16 *to) {
  vec *tile = (vec *)to;
  if (step == 1) {
#pragma GCC unroll 1
    for (long r = 0; r < AMX_SIDE; r++) {
      vec low = r < rows ? load_lanes(from + r * row, depth) : (vec){0};
      vec high = r < rows && depth > WIDTH ? load_lanes(from + r * row + WIDTH, depth - WIDTH)
                                           : (vec){0};
      amx_pairs(terms, low, high, tile + r, AMX_SIDE);
    }
  } else {
#pragma GCC unroll 1
    for (long q = 0; q < AMX_SIDE; q++) {
      vec low = q < depth ? load_lanes(from + q * step, rows) : (vec){0};
      vec high = q + WIDTH < depth ? load_lanes(from + (q + WIDTH) * step, rows) : (vec){0};
      amx_pairs(terms, low, high, tile + q, AMX_SIDE);
    }
  }
  if ((step == 1) == right) {
    for (int p = 0; p < terms; p++) {
      transpose(tile + p * AMX_SIDE);
    }
  }
}

/** Splits up to 32 rows of `depth` k into slices of two tiles each. */
INLINE void amx_split(const int terms, const float *from, long row, long step, long rows,
                    long depth, const int right, bf16 *to) {
  for (long k = 0; k < depth; k += AMX_DEPTH) {
    for (long r = 0; r < AMX_BLOCK; r += AMX_SIDE, to += terms * AMX_TILE) {
      if (r < rows) {
        amx_tile(terms, from + r * row + k * step, row, step, rows - r, depth - k, right, to);
      }
    }
  }
}

/** Where the tiles of a slice of 32 k lie: term after term, and a second tile beside each. */
struct tiles {
  const bf16 *at;
  long term, second;
};

#define AMX_LEFT(p)                                     \
  _tile_loadd(4, a.at + (p) * a.term, 64);             \
  if (down == 2) {                                      \
    _tile_loadd(5, a.at + a.second + (p) * a.term, 64); \
  }
#define AMX_RIGHT(p)                                    \
  _tile_loadd(6, b.at + (p) * b.term, 64);             \
  if (across == 2) {                                    \
    _tile_loadd(7, b.at + b.second + (p) * b.term, 64); \
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
// Each of the four tiles of C, where it exists.
#define AMX_TILES(DO, at, row)                                    \
  DO(0, at, 4 * (row));                                           \
  if (across == 2) {                                              \
    DO(1, at + AMX_SIDE, 4 * (row));                              \
  }                                                               \
  if (down == 2) {                                                \
    DO(2, at + AMX_SIDE * (row), 4 * (row));                      \
    if (across == 2) {                                            \
      DO(3, at + AMX_SIDE * (row) + AMX_SIDE, 4 * (row));         \
    }                                                             \
  }
#define AMX_ZERO(tile, at, row) _tile_zero(tile)

/** C += A·B for a slice, and `down` tiles of rows and `across` tiles of columns, 1 or 2. */
INLINE void amx_add(const int terms, const int down, const int across, struct tiles a,
                    struct tiles b) {
  // Neighbours share an operand that is loaded once.
  if (terms == 3) {
    AMX_LEFT(2) AMX_RIGHT(0) AMX_PRODUCTS
    AMX_LEFT(1) AMX_PRODUCTS
    AMX_RIGHT(1) AMX_PRODUCTS
    AMX_LEFT(0) AMX_PRODUCTS
    AMX_RIGHT(2) AMX_PRODUCTS
    AMX_RIGHT(0) AMX_PRODUCTS
  } else {
    AMX_LEFT(1) AMX_RIGHT(0) AMX_PRODUCTS
    AMX_LEFT(0) AMX_PRODUCTS
    AMX_RIGHT(1) AMX_PRODUCTS
  }
}

/** C = start; rows start_row apart, 0 for the same row again and again; null for zeros. */
INLINE void amx_start(const int down, const int across, const float *start, long start_row) {
  amx_written();
  if (start) {
    AMX_TILES(_tile_loadd, start, start_row)
  } else {
    AMX_TILES(AMX_ZERO, start, start_row)
  }
}

// Tile t of C, in row i and column j of tiles, to its end.
#define AMX_TERM(tile, x, i, p) _tile_loadd(tile, x.at + (i) * x.second + (p) * x.term, 64)
#define AMX_ROW(i) AMX_TERM(4, a, i, 0); AMX_TERM(5, a, i, 1)
#define AMX_COLUMN(j) AMX_TERM(6, b, j, 0); AMX_TERM(7, b, j, 1)
#define AMX_LAST(t, i, j)   \
  _tile_dpbf16ps(t, 5, 6);  \
  _tile_dpbf16ps(t, 4, 6);  \
  _tile_dpbf16ps(t, 4, 7);  \
  _tile_stored(t, c + (i) * AMX_SIDE * c_row + (j) * AMX_SIDE, 4 * c_row)

/** c = C + A·B for the last slice. */
INLINE void amx_finish(const int terms, const int down, const int across, struct tiles a,
                       struct tiles b, float *c, long c_row) {
  if (terms == 3) {
    amx_add(terms, down, across, a, b);
    AMX_TILES(_tile_stored, c, c_row)
    return;
  }
  // Tile by tile: one is stored while the next is summed up.
  AMX_ROW(0);
  AMX_COLUMN(0);
  AMX_LAST(0, 0, 0);
  if (across == 2) {
    AMX_COLUMN(1);
    AMX_LAST(1, 0, 1);
  }
  if (down == 2) {
    AMX_ROW(1);
    if (across == 2) {
      AMX_LAST(3, 1, 1);
      AMX_COLUMN(0);
    }
    AMX_LAST(2, 1, 0);
  }
}

/** c = start + A·B over `slices` of 32 k, at least one; a, b: as amx_split leaves them. */
INLINE void amx_multiply(const int terms, const int down, const int across, long slices,
                         const bf16 *a, const bf16 *b, const float *start, long start_row,
                         float *c, long c_row) {
  amx_start(down, across, start, start_row);
  struct tiles left = {a, AMX_TILE, terms * AMX_TILE}, right = {b, AMX_TILE, terms * AMX_TILE};
  for (; slices > 1; slices--) {
    amx_add(terms, down, across, left, right);
    left.at += 2 * terms * AMX_TILE, right.at += 2 * terms * AMX_TILE;
  }
  amx_finish(terms, down, across, left, right, c, c_row);
}

#endif
