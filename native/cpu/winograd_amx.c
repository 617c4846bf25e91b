// SPDX-License-Identifier: Apache-2.0
//
// Winograd convolution whose products run on the tile unit: winograd.c with transformed inputs and
// filters cut into two bfloat16 planes (amx.h), all four products of which count, because the
// transforms magnify errors. The rms error is 2e-5, so it is for gradients; with the third plane
// that forward convolutions would need it is no faster than winograd.c.
#ifdef AMX
#include "amx.h"
#include "winograd.h"

enum { PLANES = 2, TILE = PLANES * AMX_TILE };

/** Points of two vectors, WIDTH apart. */
typedef struct {
  float low[MOST_T * MOST_T * WIDTH], high[MOST_T * MOST_T * WIDTH];
} __attribute__((aligned(64))) Points;

INLINE long row_tiles(long rows) { return (rows + AMX_SIDE - 1) / AMX_SIDE; }

/** bf16 of one point of the inputs: tiles of 16 rows, slices of k, planes. */
INLINE long left_step(long rows, long k) {
  return row_tiles(rows) * amx_slices(k) * TILE + AMX_DEPTH;
}

/** bf16 of one point of the filters: blocks of 32 columns, slices of k, 2 tiles, planes. */
INLINE long right_step(long columns, long k) {
  return (columns + AMX_BLOCK - 1) / AMX_BLOCK * 2 * amx_slices(k) * TILE + AMX_DEPTH;
}

/**
 * reverie_winograd_filter for reverie_winograd_amx_tiles.
 *
 * u: t * t * (2 * (inputs rounded up to 32) * (outputs rounded up to 32) + 32) bf16
 */
EXPORT void reverie_winograd_amx_filter(const float *weight, long cin, long cout, int t, int turned,
                                        long first, long end, long left, long right, bf16 *u) {
  const long inputs = turned ? cout : cin, outputs = turned ? cin : cout;
  const long step = right_step(outputs, inputs), slices = amx_slices(inputs);
  for (long o = left; o < right; o += WIDTH) {
    bf16 *column = u + (o / AMX_BLOCK * slices * 2 + o / AMX_SIDE % 2) * TILE;
    for (long k = first; k < amx_slices(end) * AMX_DEPTH; k += WIDTH) {
      vec taps[TAPS * TAPS][WIDTH];
      filter_taps(turned, weight, cin, cout, k, end - k, o, taps);
      bf16 *to = column + k / AMX_DEPTH * 2 * TILE + k % AMX_DEPTH * AMX_SIDE;
      for (long r = 0; r < WIDTH; r += 2, to += AMX_DEPTH) {
        Points p;
#define CALL(T)                                            \
  filter_points(T, &taps[0][r], WIDTH, p.low, WIDTH);      \
  filter_points(T, &taps[0][r + 1], WIDTH, p.high, WIDTH)
        TILE_CASES(t, CALL)
#undef CALL
        for (int i = 0; i < t * t; i++) {
          amx_store_pairs(load(p.low + i * WIDTH), load(p.high + i * WIDTH), PLANES, to + i * step,
                          AMX_TILE);
        }
      }
    }
  }
}

INLINE void left_inputs(const int t, const Shape *s, const float *x, long first, long end,
                        const float *zeros, bf16 *v, long step) {
  for (long tile = first; tile < end; tile++) {
    Pixels pixels;
    tile_pixels(t, 0, s, x, s->cin, tile, zeros, &pixels);
    const long row = tile - first;
    bf16 *to = v + row / AMX_SIDE * amx_slices(s->cin) * TILE + row % AMX_SIDE * AMX_DEPTH;
    for (long c = 0; c < s->cin; c += AMX_DEPTH, to += TILE) {
      Points p;
      tile_points(t, 0, &pixels, c, s->cin - c, p.low, WIDTH);
      if (s->cin - c > WIDTH) {
        tile_points(t, 0, &pixels, c + WIDTH, s->cin - c - WIDTH, p.high, WIDTH);
      } else {
        memset(p.high, 0, sizeof p.high);
      }
      for (int i = 0; i < t * t; i++) {
        amx_store(load(p.low + i * WIDTH), load(p.high + i * WIDTH), PLANES, to + i * step,
                  AMX_TILE);
      }
    }
  }
}

/** c = a · b for `down` tiles of rows, a_tile apart, and `across` of columns, 1 or 2. */
INLINE void multiply_block(const int down, const int across, long slices, const bf16 *a,
                           long a_tile, const bf16 *b, float *c, long c_row) {
  const long b_tile = TILE;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (; slices > 0; slices--, a += TILE, b += 2 * TILE) {
    AMX_LEFT(1) AMX_RIGHT(1) AMX_PRODUCTS
    AMX_RIGHT(0) AMX_PRODUCTS
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

/** c = a · b for one point; c has whole tiles of rows and columns. */
static void multiply(long rows, long columns, long k, const bf16 *a, const bf16 *b, float *c,
                     long c_row) {
  const long slices = amx_slices(k);
  for (long j = 0; j < columns; j += AMX_BLOCK) {
    const bf16 *right = b + j / AMX_SIDE * slices * TILE;
    for (long r = 0; r < rows; r += AMX_BLOCK) {
      const bf16 *left = a + r / AMX_SIDE * slices * TILE;
      float *to = c + r * c_row + j;
      if (rows - r > AMX_SIDE && columns - j > AMX_SIDE) {
        multiply_block(2, 2, slices, left, slices * TILE, right, to, c_row);
      } else if (rows - r > AMX_SIDE) {
        multiply_block(2, 1, slices, left, slices * TILE, right, to, c_row);
      } else if (columns - j > AMX_SIDE) {
        multiply_block(1, 2, slices, left, slices * TILE, right, to, c_row);
      } else {
        multiply_block(1, 1, slices, left, slices * TILE, right, to, c_row);
      }
    }
  }
}

/**
 * reverie_winograd_tiles on the tile unit, with nothing added. scratch: t * t * ((tiles rounded up
 * to 16) * (cin rounded up to 32 + cout rounded up to 16) + 32) floats and cin.
 */
EXPORT void reverie_winograd_amx_tiles(const float *x, const bf16 *u, float *y, long h, long w,
                                       long cin, long cout, long padding, int t, long first,
                                       long end, float *scratch) {
  const Shape s = shape(h, w, cin, cout, padding, t);
  const Added nothing = {0};
  const long tiles = end - first, mRow = rounded(cout);
  const long vStep = left_step(tiles, cin), uStep = right_step(cout, cin);
  const long mStep = point_step(row_tiles(tiles) * AMX_SIDE, mRow);
  bf16 *v = (bf16 *)scratch;
  float *m = scratch + t * t * vStep / 2, *zeros = m + t * t * mStep;
  memset(zeros, 0, sizeof(float) * (size_t)cin);
#define CALL(T) left_inputs(T, &s, x, first, end, zeros, v, vStep)
  TILE_CASES(t, CALL)
#undef CALL
  amx_begin();
  for (int p = 0; p < t * t; p++) {
    multiply(tiles, cout, cin, v + p * vStep, u + p * uStep, m + p * mStep, mRow);
  }
  amx_end();
#define CALL(T) transform_outputs(T, &s, &nothing, first, end, m, mRow, mStep, y)
  TILE_CASES(t, CALL)
#undef CALL
}
#endif
