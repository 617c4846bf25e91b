// SPDX-License-Identifier: Apache-2.0
//
// The gradient of a Winograd convolution with respect to its weight:
// dW = Gᵀ[sum over tiles of (BᵀxB) ⊙ (A dy Aᵀ)]G.
//
// A task sums a range of tiles for a block of input channels and one of output channels, small
// enough that the sums of all points stay in the second level cache. Blocks of tiles follow each
// other through its scratch. Ranges of tiles give partial sums, added in the order of the ranges.
#include "winograd.h"

INLINE void add_products(const int rows, const int cols, long tiles, const float *v, long v_row,
                         const float *z, long z_row, int more, float *sum, long sum_row) {
  vec c[MICRO_ROWS][MICRO_COLS];
  micro_zero(c, rows, cols);
  micro_add(c, rows, cols, tiles, v, 1, v_row, z, z_row);
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 2
    for (int j = 0; j < cols; j++) {
      float *to = sum + r * sum_row + j * WIDTH;
      store(to, more ? load(to) + c[r][j] : c[r][j]);
    }
  }
}

/** sum[inputs, outputs] (+)= v[tiles, inputs]ᵀ · z[tiles, outputs] for one point. */
static void add_point(long tiles, long inputs, long outputs, const float *v, long v_row,
                      const float *z, long z_row, int more, float *sum) {
  for (long o = 0; o < outputs; o += MICRO_PANEL) {
    int cols = micro_cols(o, outputs);
    for (long from = 0, rows; from < inputs; from += rows) {
      rows = micro_few(inputs - from);
#define CALL(R, C) \
  add_products(R, C, tiles, v + from, v_row, z + o, z_row, more, sum + from * z_row + o, z_row)
      MICRO_FEW_CASES(rows, cols, CALL)
#undef CALL
    }
  }
}

/**
 * The part of dweight [3, 3, cin, cout] that comes from tiles first to end, at least one, for
 * `inputs` channels from cin_first and `outputs` channels from cout_first; other elements stay as
 * they are.
 *
 * Tiles are numbered row by row, image by image, and go through scratch `block` at a time. scratch:
 * t * t * (inputs * rounded outputs + block * (rounded inputs + rounded outputs) + 3 WIDTH)
 * floats and the larger of the rounded channels.
 */
EXPORT void reverie_winograd_weight_gradient(const float *x, const float *dy, float *dweight,
                                             long h, long w, long cin, long cout, long padding,
                                             int t, long first, long end, long block,
                                             long cin_first, long inputs, long cout_first,
                                             long outputs, float *scratch) {
  const struct shape s = shape(h, w, cin, cout, padding, t);
  const long v_row = rounded(inputs), z_row = rounded(outputs);
  const long sum_step = point_step(inputs, z_row), v_step = point_step(block, v_row);
  const long z_step = point_step(block, z_row);
  float *sum = scratch, *v = sum + t * t * sum_step, *z = v + t * t * v_step;
  float *zeros = z + t * t * z_step;
  memset(zeros, 0, sizeof(float) * (size_t)(inputs > outputs ? inputs : outputs));
  for (long tile = first; tile < end; tile += block) {
    long stop = least(end, tile + block);
#define CALL(T)                                                                            \
  all_points(T, 0, &s, x + cin_first, cin, inputs, tile, stop - tile, zeros, v, v_step, WIDTH, v_row); \
  all_points(T, 1, &s, dy + cout_first, cout, outputs, tile, stop - tile, zeros, z, z_step, WIDTH, z_row)
    TILE_CASES(t, CALL)
#undef CALL
    for (int p = 0; p < t * t; p++) {
      add_point(stop - tile, inputs, outputs, v + p * v_step, v_row, z + p * z_step, z_row,
                tile > first, sum + p * sum_step);
    }
  }
#define CALL(T)                                            \
  taps_of_points(T, sum, z_row, sum_step, inputs, outputs, &s, \
                 dweight + cin_first * cout + cout_first)
  TILE_CASES(t, CALL)
#undef CALL
}
