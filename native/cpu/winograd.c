// SPDX-License-Identifier: Apache-2.0
//
// Winograd convolution of NHWC images with 3 by 3 filters, stride 1: y = Aᵀ[(GgGᵀ) ⊙ (BᵀxB)]A.
//
// A chunk takes a range of tiles through all its steps in scratch of the size of the second level
// cache: inputs to t * t points, a matrix product over the channels for each point, products to
// outputs with everything that is added to them. The filters are transformed before, panel by panel.
// The gradient with respect to the input is the same, with filters turned by 180 degrees and
// transposed.
#include "winograd.h"

enum {
  // Products are summed over this many channels at a time, which keeps rounding errors small.
  CHAIN = 32,
};

/** Turns WIDTH vectors of WIDTH floats about their diagonal. */
INLINE void transpose(vec *v) {
#pragma GCC unroll 4
  for (int s = 1; s < WIDTH; s *= 2) {
    ivec low, high;
#pragma GCC unroll 16
    for (int i = 0; i < WIDTH; i++) {
      low[i] = i & s ? WIDTH + i - s : i;
      high[i] = i & s ? WIDTH + i : i + s;
    }
#pragma GCC unroll 16
    for (int i = 0; i < WIDTH; i++) {
      if (!(i & s)) {
        vec a = v[i], b = v[i + s];
        v[i] = __builtin_shuffle(a, b, low);
        v[i + s] = __builtin_shuffle(a, b, high);
      }
    }
  }
}

/** Transforms one vector of filters, taps `step` vectors apart, and stores its points. */
INLINE void filter_points(const int t, const vec *taps, long step, float *u,
                          long uStep) {
  vec half[MOST_T][TAPS];
#pragma GCC unroll 3
  for (int j = 0; j < TAPS; j++) {
    vec g[TAPS], column[MOST_T];
#pragma GCC unroll 3
    for (int i = 0; i < TAPS; i++) {
      g[i] = taps[(i * TAPS + j) * step];
    }
    filter_transform(t, g, column);
#pragma GCC unroll 6
    for (int i = 0; i < t; i++) {
      half[i][j] = column[i];
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < t; i++) {
    vec row[MOST_T];
    filter_transform(t, half[i], row);
#pragma GCC unroll 6
    for (int j = 0; j < t; j++) {
      store(u + (i * t + j) * uStep, row[j]);
    }
  }
}

INLINE void filter_panel(const int t, const float *weight, long cin, long cout, long left,
                         long first, long end, float *u) {
  int cols = micro_cols(left, cout);
  u += left * cin;
  for (long k = first; k < end; k++) {
    for (int v = 0; v < cols; v++) {
      long o = left + v * WIDTH;
      vec taps[TAPS * TAPS];
      for (int i = 0; i < TAPS * TAPS; i++) {
        taps[i] = lanes(weight + (i * cin + k) * cout + o, cout - o);
      }
      filter_points(t, taps, 1, u + (k * cols + v) * WIDTH,
                    point_step(cin, rounded(cout)));
    }
  }
}

INLINE void turned_panel(const int t, const float *weight, long cin, long cout, long left,
                         long first, long end, float *u) {
  int cols = micro_cols(left, cin);
  u += left * cout;
  for (int v = 0; v < cols; v++) {
    long c = left + v * WIDTH, count = least(WIDTH, cin - c);
    for (long k = first; k < end; k += WIDTH) {
      vec taps[TAPS * TAPS][WIDTH];
      for (int i = 0; i < TAPS * TAPS; i++) {
        const float *from = weight + ((TAPS * TAPS - 1 - i) * cin + c) * cout + k;
        for (int r = 0; r < WIDTH; r++) {
          taps[i][r] = r < count ? lanes(from + r * cout, end - k) : (vec){0};
        }
        transpose(taps[i]);
      }
      for (long r = 0; r < least(WIDTH, end - k); r++) {
        filter_points(t, &taps[0][r], WIDTH, u + ((k + r) * cols + v) * WIDTH,
                      point_step(cout, rounded(cin)));
      }
    }
  }
}

/**
 * Transforms a block of a weight [3, 3, cin, cout]: inputs first to end, outputs left to right,
 * which are multiples of 32 but at the end. turned: the filters of the gradient with respect to the
 * input, whose inputs are the weight's outputs.
 *
 * u: t * t matrices [inputs, outputs rounded up to WIDTH], each in panels and WIDTH longer
 */
EXPORT void reverie_winograd_filter(const float *weight, long cin, long cout, int t, int turned,
                                    long first, long end, long left, long right, float *u) {
  for (long o = left; o < right; o += MICRO_PANEL) {
#define CALL(T)                                                \
  if (turned) {                                                \
    turned_panel(T, weight, cin, cout, o, first, end, u);      \
  } else {                                                     \
    filter_panel(T, weight, cin, cout, o, first, end, u);      \
  }
    TILE_CASES(t, CALL)
#undef CALL
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
#define CALL(R, C) multiply_block(R, C, cin, v + from * WIDTH, tiles * WIDTH, u, m + from * mRow, mRow)
    MICRO_FEW_CASES(rows, cols, CALL)
#undef CALL
  }
}

typedef struct {
  const float *bias, *image_bias, *residual;
} Added;

INLINE void transform_outputs(const int t, const Shape *s, const Added *added,
                              long first, long end, const float *m, long mRow, long mStep,
                              float *y) {
  for (long tile = first; tile < end; tile++) {
    long left = tile % s->across * (t - 2), top = tile / s->across % s->down * (t - 2);
    long image = tile / (s->across * s->down);
    int rows = (int)least(t - 2, s->oh - top), columns = (int)least(t - 2, s->ow - left);
    for (long o = 0; o < s->cout; o += WIDTH) {
      const float *from = m + (tile - first) * mRow + o;
      long count = s->cout - o;
      vec half[MOST_T - 2][MOST_T];
#pragma GCC unroll 1
      for (int j = 0; j < t; j++) {
        vec p[MOST_T], q[MOST_T - 2];
#pragma GCC unroll 6
        for (int i = 0; i < t; i++) {
          p[i] = load(from + (i * t + j) * mStep);
        }
        output_transform(t, p, q);
#pragma GCC unroll 4
        for (int i = 0; i < t - 2; i++) {
          half[i][j] = q[i];
        }
      }
      vec constant = {0};
      if (added->bias) {
        constant = lanes(added->bias + o, count);
      }
      if (added->image_bias) {
        constant += lanes(added->image_bias + image * s->cout + o, count);
      }
#pragma GCC unroll 1
      for (int i = 0; i < rows; i++) {
        vec q[MOST_T - 2];
        output_transform(t, half[i], q);
        long at = ((image * s->oh + top + i) * s->ow + left) * s->cout + o;
#pragma GCC unroll 4
        for (int j = 0; j < t - 2; j++) {
          if (j < columns) {
            vec value = q[j] + constant;
            if (added->residual) {
              value += lanes(added->residual + at, count);
            }
            set_lanes(y + at, value, count);
            at += s->cout;
          }
        }
      }
    }
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
  tile_points(T, 0, &s, x, cin, cin, first, end, zeros, v, vStep, tiles * WIDTH, WIDTH)
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
