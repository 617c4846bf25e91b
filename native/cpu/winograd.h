// SPDX-License-Identifier: Apache-2.0
//
// The transforms of Winograd convolution (Lavin and Gray 2016), one dimension at a time, for
// filters of 3 taps: m = 2 outputs from t = 4 inputs at the points 0, ±1, ∞, and m = 4 outputs from
// t = 6 inputs at the points 0, ±5/8, ±3/2, ∞. The usual points 0, ±1, ±2 are three times less
// exact (docs/benchmarks/winograd.md).
//
// Every function takes its t as a constant and works on vectors of channels. Rows of a matrix that
// belong to the points ±p share their even and their odd part.
#ifndef REVERIE_WINOGRAD_H
#define REVERIE_WINOGRAD_H

#include "microkernel.h"

enum { MOST_T = 6, TAPS = 3 };

// Points of t = 6 and their powers.
#define A1 0.625f
#define B1 1.5f
#define A2 (A1 * A1)
#define B2 (B1 * B1)

/** v = Bᵀx: t inputs to t points. */
INLINE void input_transform(const int t, const vec *x, vec *v) {
  if (t == 4) {
    v[0] = x[0] - x[2];
    v[1] = x[1] + x[2];
    v[2] = x[2] - x[1];
    v[3] = x[3] - x[1];
  } else {
    v[0] = x[4] + A2 * B2 * x[0] - (A2 + B2) * x[2];
    v[5] = x[5] + A2 * B2 * x[1] - (A2 + B2) * x[3];
    vec even = x[4] - B2 * x[2], odd = x[3] - B2 * x[1];
    v[1] = even + A1 * odd;
    v[2] = even - A1 * odd;
    even = x[4] - A2 * x[2], odd = x[3] - A2 * x[1];
    v[3] = even + B1 * odd;
    v[4] = even - B1 * odd;
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
    y[1] = A1 * odd + B1 * odd2;
    y[2] = A2 * even + B2 * even2;
    y[3] = m[5] + A1 * A2 * odd + B1 * B2 * odd2;
  }
}

// Factors of G's rows: 1 over the product of the differences to the other points.
#define G0 (1 / (A2 * B2))
#define GA (1 / (2 * A2 * (A2 - B2)))
#define GB (1 / (2 * B2 * (B2 - A2)))

/** u = Gg: 3 taps to t points. */
INLINE void filter_transform(const int t, const vec *g, vec *u) {
  if (t == 4) {
    vec even = 0.5f * (g[0] + g[2]), odd = 0.5f * g[1];
    u[0] = g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = g[2];
  } else {
    vec even = GA * g[0] + A2 * GA * g[2], odd = A1 * GA * g[1];
    u[0] = G0 * g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    even = GB * g[0] + B2 * GB * g[2], odd = B1 * GB * g[1];
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
    vec even = y[0] + A2 * y[2], odd = y[1] + A2 * y[3];
    z[1] = even + A1 * odd;
    z[2] = even - A1 * odd;
    even = y[0] + B2 * y[2], odd = y[1] + B2 * y[3];
    z[3] = even + B1 * odd;
    z[4] = even - B1 * odd;
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
    g[0] = G0 * u[0] + GA * even + GB * even2;
    g[1] = A1 * GA * odd + B1 * GB * odd2;
    g[2] = u[5] + A2 * GA * even + B2 * GB * even2;
  }
}

/** Runs CALL(t) with t as a constant. */
#define TILE_CASES(t, CALL) \
  if (t == 6) {             \
    CALL(6);                \
  } else {                  \
    CALL(4);                \
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

INLINE Shape shape(long h, long w, long cin, long cout, long padding, int t) {
  long oh = h + 2 * padding - 2, ow = w + 2 * padding - 2;
  return (Shape){h, w, cin, oh, ow, cout, padding, (oh + t - 3) / (t - 2), (ow + t - 3) / (t - 2)};
}

/**
 * Transforms channels of images (from the first one's first pixel, `channels` floats a pixel) to
 * t * t points, for tiles first to end.
 *
 * outputs 0: inputs of the convolution by BᵀxB; 1: gradients of outputs by A dy Aᵀ. Point p of
 * vector k of a tile is stored at p * pointStep + k * vectorStep + (tile - first) * tileStep.
 * `zeros` is what is read outside the images: as many zeros as there are channels.
 */
INLINE void tile_points(const int t, const int outputs, const Shape *s,
                        const float *images, long channels, long count, long first, long end,
                        const float *zeros, float *points, long pointStep, long vectorStep,
                        long tileStep) {
  const int mh = outputs ? t - 2 : t, mw = outputs ? t - 2 : t;
  const long h = outputs ? s->oh : s->h, w = outputs ? s->ow : s->w;
  for (long tile = first; tile < end; tile++) {
    long left = tile % s->across * (t - 2), top = tile / s->across % s->down * (t - 2);
    if (!outputs) {
      left -= s->padding, top -= s->padding;
    }
    const float *image = images + tile / (s->across * s->down) * h * w * channels;
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
          output_transposed(t, d, p);
        } else {
          input_transform(t, d, p);
        }
#pragma GCC unroll 6
        for (int i = 0; i < t; i++) {
          half[i][j] = p[i];
        }
      }
      float *to = points + c / WIDTH * vectorStep + (tile - first) * tileStep;
#pragma GCC unroll 1
      for (int i = 0; i < t; i++) {
        vec p[MOST_T];
        if (outputs) {
          output_transposed(t, half[i], p);
        } else {
          input_transform(t, half[i], p);
        }
#pragma GCC unroll 6
        for (int j = 0; j < t; j++) {
          store(to + (i * t + j) * pointStep, p[j]);
        }
      }
    }
  }
}

#endif
