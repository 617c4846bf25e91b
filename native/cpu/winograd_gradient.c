// SPDX-License-Identifier: Apache-2.0
//
// The gradient of a Winograd convolution with respect to its weight:
// dW = Gᵀ[sum over tiles of (BᵀxB) ⊙ (A dy Aᵀ)]G.
//
// A chunk sums a range of tiles for a block of input channels and one of output channels, small
// enough that the sums of all points stay in the second level cache. Blocks of tiles follow each
// other through its scratch. Ranges of tiles give partial sums, added in the order of the ranges.
#include "winograd.h"

INLINE void add_products(const int rows, const int cols, long tiles, const float *v, long vRow,
                         const float *z, long zRow, int more, float *sum, long sumRow) {
  vec c[MICRO_ROWS][MICRO_COLS];
  micro_zero(c, rows, cols);
  micro_add(c, rows, cols, tiles, v, 1, vRow, z, zRow);
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 2
    for (int j = 0; j < cols; j++) {
      float *to = sum + r * sumRow + j * WIDTH;
      store(to, more ? load(to) + c[r][j] : c[r][j]);
    }
  }
}

/** sum[inputs, outputs] (+)= v[tiles, inputs]ᵀ · z[tiles, outputs] for one point. */
static void add_point(long tiles, long inputs, long outputs, const float *v, long vRow,
                      const float *z, long zRow, int more, float *sum) {
  for (long o = 0; o < outputs; o += MICRO_PANEL) {
    int cols = micro_cols(o, outputs);
    for (long from = 0, rows; from < inputs; from += rows) {
      rows = micro_few(inputs - from);
#define CALL(R, C) \
  add_products(R, C, tiles, v + from, vRow, z + o, zRow, more, sum + from * zRow + o, zRow)
      MICRO_FEW_CASES(rows, cols, CALL)
#undef CALL
    }
  }
}

/**
 * The part of dweight [3, 3, cin, cout] that comes from tiles first to end, at least one, for
 * `inputs` channels from cinFirst and `outputs` channels from coutFirst; other elements stay as
 * they are.
 *
 * Tiles are numbered row by row, image by image, and go through scratch `block` at a time. scratch:
 * t * t * (inputs * rounded outputs + block * (rounded inputs + rounded outputs) + 3 WIDTH)
 * floats and the larger of the rounded channels.
 */
EXPORT void reverie_winograd_weight_gradient(const float *x, const float *dy, float *dweight,
                                             long h, long w, long cin, long cout, long padding,
                                             int t, long first, long end, long block,
                                             long cinFirst, long inputs, long coutFirst,
                                             long outputs, float *scratch) {
  const Shape s = shape(h, w, cin, cout, padding, t);
  const long vRow = rounded(inputs), zRow = rounded(outputs);
  const long sumStep = point_step(inputs, zRow), vStep = point_step(block, vRow);
  const long zStep = point_step(block, zRow);
  float *sum = scratch, *v = sum + t * t * sumStep, *z = v + t * t * vStep;
  float *zeros = z + t * t * zStep;
  memset(zeros, 0, sizeof(float) * (size_t)(inputs > outputs ? inputs : outputs));
  for (long tile = first; tile < end; tile += block) {
    long stop = least(end, tile + block);
#define CALL(T)                                                                            \
  all_points(T, 0, &s, x + cinFirst, cin, inputs, tile, stop - tile, zeros, v, vStep, WIDTH, vRow); \
  all_points(T, 1, &s, dy + coutFirst, cout, outputs, tile, stop - tile, zeros, z, zStep, WIDTH, zRow)
    TILE_CASES(t, CALL)
#undef CALL
    for (int p = 0; p < t * t; p++) {
      add_point(stop - tile, inputs, outputs, v + p * vStep, vRow, z + p * zStep, zRow,
                tile > first, sum + p * sumStep);
    }
  }
#define CALL(T)                                            \
  taps_of_points(T, sum, zRow, sumStep, inputs, outputs, &s, \
                 dweight + cinFirst * cout + coutFirst)
  TILE_CASES(t, CALL)
#undef CALL
}
