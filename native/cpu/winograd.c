// SPDX-License-Identifier: Apache-2.0
//
// Winograd convolution of NHWC images with 3 by 3 filters, stride 1: y = Aᵀ[(GgGᵀ) ⊙ (BᵀxB)]A.
//
// A chunk takes a range of tiles through all its steps in scratch of the size of the second level
// cache: inputs to t * t points, a matrix product over the channels for each point, products to
// outputs with everything that is added to them. The filters are transformed before.
// The gradient with respect to the input is the same, with filters turned by 180 degrees and
// transposed.
#include "winograd.h"

enum {
  // Products are summed over this many channels at a time, which keeps rounding errors small.
  CHAIN = 32,
};

/**
 * Transforms a block of a weight [3, 3, cin, cout]: inputs first to end, outputs left to right,
 * which are multiples of 32 but at the end. turned: the filters of the gradient with respect to the
 * input, whose inputs are the weight's outputs.
 *
 * u: t * t matrices [inputs, outputs rounded up to WIDTH], each in panels and WIDTH longer
 */
EXPORT void reverie_winograd_filter(const float *weight, long cin, long cout, int t, int turned,
                                    long first, long end, long left, long right, float *u) {
  const long inputs = turned ? cout : cin, outputs = turned ? cin : cout;
  const long step = point_step(inputs, rounded(outputs));
  for (long o = left; o < right; o += WIDTH) {
    const long panel = o / MICRO_PANEL * MICRO_PANEL, row = micro_cols(panel, outputs) * WIDTH;
    for (long k = first; k < end; k += WIDTH) {
      vec taps[TAPS * TAPS][WIDTH];
      filter_taps(turned, weight, cin, cout, k, least(WIDTH, end - k), o, taps);
      for (long r = 0; r < least(WIDTH, end - k); r++) {
        float *to = u + panel * inputs + (k + r) * row + o - panel;
#define CALL(T) filter_points(T, &taps[0][r], WIDTH, to, step)
        TILE_CASES(t, CALL)
#undef CALL
      }
    }
  }
}

INLINE void multiply_block(const int rows, const int cols, long cin, const float *v, long slice,
                           const float *u, float *m, long mRow) {
  for (long from = 0; from < cin; from += CHAIN) {
    vec c[MICRO_ROWS][MICRO_COLS];
    micro_zero(c, rows, cols);
    long end = least(cin, from + CHAIN);
    for (long k = from; k < end; k += WIDTH) {
      micro_add(c, rows, cols, least(WIDTH, end - k), v + k / WIDTH * slice, WIDTH, 1,
                u + k * cols * WIDTH, cols * WIDTH);
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 2
      for (int j = 0; j < cols; j++) {
        float *to = m + r * mRow + j * WIDTH;
        store(to, from ? load(to) + c[r][j] : c[r][j]);
      }
    }
  }
}

/** m[tiles, columns from a panel] = v · u for one point. */
static void multiply(long tiles, int cols, long cin, const float *v, const float *u, float *m,
                     long mRow) {
  for (long from = 0, rows; from < tiles; from += rows) {
    rows = micro_few(tiles - from);
#define CALL(R, C) \
  multiply_block(R, C, cin, v + from * WIDTH, tiles * WIDTH, u, m + from * mRow, mRow)
    MICRO_FEW_CASES(rows, cols, CALL)
#undef CALL
  }
}

/**
 * Tiles first to end of y = x * weight (+ bias) (+ image_bias of the tile's image) (+ residual).
 *
 * x [n, h, w, cin], u from reverie_winograd_filter, bias [cout], image_bias [n, cout], residual and
 * y [n, h + 2 padding - 2, w + 2 padding - 2, cout]; null: nothing is added. Tiles are numbered row
 * by row, image by image. scratch: t * t * ((end - first) * (cin + cout, each rounded up to
 * WIDTH) + 2 WIDTH) floats and cin rounded up.
 */
EXPORT void reverie_winograd_tiles(const float *x, const float *u, const float *bias,
                                   const float *image_bias, const float *residual, float *y, long h,
                                   long w, long cin, long cout, long padding, int t,
                                   long first, long end, float *scratch) {
  const Shape s = shape(h, w, cin, cout, padding, t);
  Added added = {bias, image_bias, residual};
  long tiles = end - first, mRow = rounded(cout);
  long vStep = point_step(tiles, rounded(cin)), mStep = point_step(tiles, mRow);
  float *v = scratch, *m = v + t * t * vStep, *zeros = m + t * t * mStep;
  memset(zeros, 0, sizeof(float) * (size_t)cin);
#define CALL(T)                                                                       \
  all_points(T, 0, &s, x, cin, cin, first, end, zeros, v, vStep, tiles * WIDTH, WIDTH)
  TILE_CASES(t, CALL)
#undef CALL
  for (int p = 0; p < t * t; p++) {
    const float *up = u + p * point_step(cin, mRow);
    for (long o = 0; o < cout; o += MICRO_PANEL) {
      multiply(tiles, micro_cols(o, cout), cin, v + p * vStep, up + o * cin, m + p * mStep + o,
               mRow);
    }
  }
#define CALL(T) transform_outputs(T, &s, &added, first, end, m, mRow, mStep, y)
  TILE_CASES(t, CALL)
#undef CALL
}
