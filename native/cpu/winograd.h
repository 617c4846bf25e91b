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
#include "taps.h"

enum { MAX_T = 6 };

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

INLINE long rounded(long count) { return (count + WIDTH - 1) / WIDTH * WIDTH; }

/** Floats between the matrices of one point and the next: not a power of two, for the caches. */
INLINE long point_step(long rows, long columns) { return rows * columns + WIDTH; }

/** Sizes of a convolution; weights are [3, 3, cin, cout], tiles of outputs lie down and across. */
struct shape {
  long h, w, cin, oh, ow, cout, padding, down, across;
};

INLINE struct shape shape(long h, long w, long cin, long cout, long padding, int t) {
  long oh = h + 2 * padding - 2, ow = w + 2 * padding - 2;
  return (struct shape){h, w, cin, oh, ow, cout, padding, (oh + t - 3) / (t - 2), (ow + t - 3) / (t - 2)};
}

/** A tile's image, and its first output. */
struct place {
  long image, top, left;
};

INLINE struct place place(const int t, const struct shape *s, long tile) {
  const long row = tile / s->across;
  return (struct place){row / s->down, row % s->down * (t - 2), tile % s->across * (t - 2)};
}

/** The place of the next tile. */
INLINE struct place after(const int t, const struct shape *s, struct place p) {
  p.left += t - 2;
  if (p.left >= s->ow) {
    p.left = 0, p.top += t - 2;
    if (p.top >= s->oh) {
      p.top = 0, p.image++;
    }
  }
  return p;
}

/** Addresses of the pixels of a tile, row by row; those outside the image are read at `zeros`. */
struct pixels {
  uintptr_t at[MAX_T * MAX_T];
};

/** All ones if position i is within 0 to end, else 0. */
INLINE uintptr_t within(long i, long end) {
  return -(uintptr_t)((unsigned long)i < (unsigned long)end);
}

/**
 * The pixels of one tile. outputs 0: its t * t inputs; 1: its outputs, (t - 2) * (t - 2).
 *
 * images: the first image's first pixel, pixels are `channels` floats apart
 */
INLINE void tile_pixels(const int t, const int outputs, const struct shape *s, const float *images,
                        long channels, struct place p, const float *zeros, struct pixels *pixels) {
  const int m = outputs ? t - 2 : t;
  const long h = outputs ? s->oh : s->h, w = outputs ? s->ow : s->w;
  const long border = outputs ? 0 : s->padding;
  const long top = p.top - border, left = p.left - border, pixel = 4 * channels;
  // Offsets from the zeros, so that a mask chooses: branches would be mispredicted at every border.
  const uintptr_t zero = (uintptr_t)zeros;
  uintptr_t row = (uintptr_t)images - zero + (uintptr_t)(((p.image * h + top) * w + left) * pixel);
  uintptr_t inside[MAX_T];
  for (int j = 0; j < m; j++) {
    inside[j] = within(left + j, w);
  }
  for (int i = 0; i < m; i++, row += (uintptr_t)(w * pixel)) {
    const uintptr_t known = within(top + i, h);
    for (int j = 0; j < m; j++) {
      pixels->at[i * m + j] = zero + ((row + (uintptr_t)(j * pixel)) & known & inside[j]);
    }
  }
}

/**
 * The t * t points of `count` channels from channel c on, at most WIDTH, stored `step` apart:
 * inputs of the convolution by BᵀxB, gradients of its outputs by A dy Aᵀ.
 */
INLINE void tile_points(const int t, const int outputs, const struct pixels *pixels, long c, long count,
                        float *points, long step) {
  const int m = outputs ? t - 2 : t;
  vec half[MAX_T][MAX_T];
#pragma GCC unroll 6
  for (int j = 0; j < m; j++) {
    vec d[MAX_T], p[MAX_T];
#pragma GCC unroll 6
    for (int i = 0; i < m; i++) {
      d[i] = load_lanes((const float *)pixels->at[i * m + j] + c, count);
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
#pragma GCC unroll 6
  for (int i = 0; i < t; i++) {
    vec p[MAX_T];
    if (outputs) {
      output_transposed(t, half[i], p);
    } else {
      input_transform(t, half[i], p);
    }
#pragma GCC unroll 6
    for (int j = 0; j < t; j++) {
      store(points + (i * t + j) * step, p[j]);
    }
  }
}

/**
 * Points of `tiles` tiles from `first` on, for `count` channels. Point p of vector k of a tile lies
 * at p * point_step + k * vector_step + (tile - first) * tile_step.
 */
INLINE void all_points(const int t, const int outputs, const struct shape *s, const float *images,
                       long channels, long count, long first, long tiles, const float *zeros,
                       float *points, long point_step, long vector_step, long tile_step) {
  const long whole = count / WIDTH;
  struct place at = place(t, s, first);
  for (long i = 0; i < tiles; i++, at = after(t, s, at), points += tile_step) {
    struct pixels pixels;
    tile_pixels(t, outputs, s, images, channels, at, zeros, &pixels);
    for (long k = 0; k < whole; k++) {
      tile_points(t, outputs, &pixels, k * WIDTH, WIDTH, points + k * vector_step, point_step);
    }
    if (whole * WIDTH < count) {
      tile_points(t, outputs, &pixels, whole * WIDTH, count - whole * WIDTH,
                  points + whole * vector_step, point_step);
    }
  }
}

/** dweight of a block of channels from the sums of its points. */
INLINE void taps_of_points(const int t, const float *sum, long sum_row, long sum_step,
                           long inputs, long outputs, const struct shape *s, float *dweight) {
  for (long c = 0; c < inputs; c++) {
    for (long o = 0; o < outputs; o += WIDTH) {
      vec half[TAPS][MAX_T];
#pragma GCC unroll 1
      for (int j = 0; j < t; j++) {
        vec p[MAX_T], g[TAPS];
#pragma GCC unroll 6
        for (int i = 0; i < t; i++) {
          p[i] = load(sum + (i * t + j) * sum_step + c * sum_row + o);
        }
        filter_transposed(t, p, g);
#pragma GCC unroll 3
        for (int i = 0; i < TAPS; i++) {
          half[i][j] = g[i];
        }
      }
#pragma GCC unroll 3
      for (int i = 0; i < TAPS; i++) {
        vec g[TAPS];
        filter_transposed(t, half[i], g);
#pragma GCC unroll 3
        for (int j = 0; j < TAPS; j++) {
          store_lanes(dweight + ((i * TAPS + j) * s->cin + c) * s->cout + o, g[j], outputs - o);
        }
      }
    }
  }
}

#endif
