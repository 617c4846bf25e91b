// SPDX-License-Identifier: Apache-2.0
//
// The transforms of Winograd convolution (Lavin and Gray 2016), one dimension at a time, for
// filters of 3 taps: m = 2 outputs from t = 4 inputs at the points 0, ±1, ∞, and m = 4 outputs from
// t = 6 inputs at the points 0, ±√½, ±√2, ∞. The latter are as exact as a direct convolution when
// sums are taken in blocks; the usual points 0, ±1, ±2 are not (docs/benchmarks/winograd.md).
//
// Every function takes its t as a constant and works on vectors of channels.
#ifndef REVERIE_WINOGRAD_H
#define REVERIE_WINOGRAD_H

#include "microkernel.h"

enum { MOST_T = 6, TAPS = 3 };

#define ROOT_HALF 0.70710678118654752f

/** v = Bᵀx: t inputs to t points. */
INLINE void input_transform(const int t, const vec *x, vec *v) {
  if (t == 4) {
    v[0] = x[0] - x[2];
    v[1] = x[1] + x[2];
    v[2] = x[2] - x[1];
    v[3] = x[3] - x[1];
  } else {
    vec even = x[4] - 2 * x[2], odd = x[3] - 2 * x[1];
    v[0] = x[0] + x[4] - 2.5f * x[2];
    v[1] = even + ROOT_HALF * odd;
    v[2] = even - ROOT_HALF * odd;
    even = x[4] - 0.5f * x[2], odd = x[3] - 0.5f * x[1];
    v[3] = even + (2 * ROOT_HALF) * odd;
    v[4] = even - (2 * ROOT_HALF) * odd;
    v[5] = x[1] + x[5] - 2.5f * x[3];
  }
}

/** y = Aᵀm: t points to t - 2 outputs. */
INLINE void output_transform(const int t, const vec *m, vec *y) {
  vec even = m[1] + m[2], odd = m[1] - m[2];
  if (t == 4) {
    y[0] = m[0] + even;
    y[1] = odd + m[3];
  } else {
    vec even2 = m[3] + m[4], odd2 = m[3] - m[4];
    y[0] = m[0] + (even + even2);
    y[1] = ROOT_HALF * (odd + 2 * odd2);
    y[2] = 0.5f * even + 2 * even2;
    y[3] = m[5] + ROOT_HALF * (0.5f * odd + 4 * odd2);
  }
}

/** u = Gg: 3 taps to t points. */
INLINE void filter_transform(const int t, const vec *g, vec *u) {
  if (t == 4) {
    vec even = 0.5f * (g[0] + g[2]), odd = 0.5f * g[1];
    u[0] = g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = g[2];
  } else {
    vec even = (-2 / 3.0f) * g[0] - (1 / 3.0f) * g[2], odd = (-2 / 3.0f * ROOT_HALF) * g[1];
    u[0] = g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    even = (1 / 6.0f) * g[0] + (1 / 3.0f) * g[2], odd = (1 / 3.0f * ROOT_HALF) * g[1];
    u[3] = even + odd;
    u[4] = even - odd;
    u[5] = g[2];
  }
}

/** z = Ay, the transpose of output_transform: t - 2 gradients of outputs to t points. */
INLINE void output_transposed(const int t, const vec *y, vec *z) {
  z[0] = y[0];
  if (t == 4) {
    z[1] = y[0] + y[1];
    z[2] = y[0] - y[1];
    z[3] = y[1];
  } else {
    vec even = y[0] + 0.5f * y[2], odd = y[1] + 0.5f * y[3];
    z[1] = even + ROOT_HALF * odd;
    z[2] = even - ROOT_HALF * odd;
    even = y[0] + 2 * y[2], odd = y[1] + 2 * y[3];
    z[3] = even + (2 * ROOT_HALF) * odd;
    z[4] = even - (2 * ROOT_HALF) * odd;
    z[5] = y[3];
  }
}

/** g = Gᵀu, the transpose of filter_transform: t points to gradients of 3 taps. */
INLINE void filter_transposed(const int t, const vec *u, vec *g) {
  vec even = u[1] + u[2], odd = u[1] - u[2];
  if (t == 4) {
    g[0] = u[0] + 0.5f * even;
    g[1] = 0.5f * odd;
    g[2] = u[3] + 0.5f * even;
  } else {
    vec even2 = u[3] + u[4], odd2 = u[3] - u[4];
    g[0] = u[0] - (2 / 3.0f) * even + (1 / 6.0f) * even2;
    g[1] = (1 / 3.0f * ROOT_HALF) * (odd2 - 2 * odd);
    g[2] = u[5] + (1 / 3.0f) * (even2 - even);
  }
}

/** Runs CALL(th, tw) with the sizes of a tile as constants. */
#define TILE_CASES(th, tw, CALL) \
  if (th == 6 && tw == 6) {      \
    CALL(6, 6);                  \
  } else if (th == 6) {          \
    CALL(6, 4);                  \
  } else if (tw == 6) {          \
    CALL(4, 6);                  \
  } else {                       \
    CALL(4, 4);                  \
  }

/** Loads `count` lanes, all of them by the shorter way. */
INLINE vec lanes(const float *from, long count) {
  return count >= WIDTH ? load(from) : load_some(from, count);
}

INLINE void set_lanes(float *to, vec value, long count) {
  if (count >= WIDTH) {
    store(to, value);
  } else {
    store_some(to, value, count);
  }
}

INLINE long rounded(long count) { return (count + WIDTH - 1) / WIDTH * WIDTH; }

/** Floats between the matrices of one point and the next: not a power of two, for the caches. */
INLINE long point_step(long rows, long columns) { return rows * columns + WIDTH; }

/** Sizes of a convolution; weights are [3, 3, cin, cout], tiles of outputs lie down and across. */
typedef struct {
  long h, w, cin, oh, ow, cout, padding, down, across;
} Shape;

INLINE Shape shape(long h, long w, long cin, long cout, long padding, int th, int tw) {
  long oh = h + 2 * padding - 2, ow = w + 2 * padding - 2;
  return (Shape){h, w, cin, oh, ow, cout, padding, (oh + th - 3) / (th - 2), (ow + tw - 3) / (tw - 2)};
}

/**
 * Transforms channels of images (from the first one's first pixel, `channels` floats a pixel) to
 * th * tw points, for tiles first to end.
 *
 * outputs 0: inputs of the convolution by BᵀxB; 1: gradients of outputs by A dy Aᵀ. Point p of
 * vector k of a tile is stored at p * pointStep + k * vectorStep + (tile - first) * tileStep.
 * `zeros` is what is read outside the images: as many zeros as there are channels.
 */
INLINE void tile_points(const int th, const int tw, const int outputs, const Shape *s,
                        const float *images, long channels, long count, long first, long end,
                        const float *zeros, float *points, long pointStep, long vectorStep,
                        long tileStep) {
  const int mh = outputs ? th - 2 : th, mw = outputs ? tw - 2 : tw;
  const long h = outputs ? s->oh : s->h, w = outputs ? s->ow : s->w;
  for (long t = first; t < end; t++) {
    long left = t % s->across * (tw - 2), top = t / s->across % s->down * (th - 2);
    if (!outputs) {
      left -= s->padding, top -= s->padding;
    }
    const float *image = images + t / (s->across * s->down) * h * w * channels;
    const float *pixels[MOST_T * MOST_T];
    for (int i = 0; i < mh; i++) {
      for (int j = 0; j < mw; j++) {
        long y = top + i, x = left + j;
        int inside = y >= 0 && y < h && x >= 0 && x < w;
        pixels[i * mw + j] = inside ? image + (y * w + x) * channels : zeros;
      }
    }
    for (long c = 0; c < count; c += WIDTH) {
      vec half[MOST_T][MOST_T];
#pragma GCC unroll 1
      for (int j = 0; j < mw; j++) {
        vec d[MOST_T], p[MOST_T];
#pragma GCC unroll 6
        for (int i = 0; i < mh; i++) {
          d[i] = lanes(pixels[i * mw + j] + c, count - c);
        }
        if (outputs) {
          output_transposed(th, d, p);
        } else {
          input_transform(th, d, p);
        }
#pragma GCC unroll 6
        for (int i = 0; i < th; i++) {
          half[i][j] = p[i];
        }
      }
      float *to = points + c / WIDTH * vectorStep + (t - first) * tileStep;
#pragma GCC unroll 1
      for (int i = 0; i < th; i++) {
        vec p[MOST_T];
        if (outputs) {
          output_transposed(tw, half[i], p);
        } else {
          input_transform(tw, half[i], p);
        }
#pragma GCC unroll 6
        for (int j = 0; j < tw; j++) {
          store(to + (i * tw + j) * pointStep, p[j]);
        }
      }
    }
  }
}

#endif
