// SPDX-License-Identifier: Apache-2.0
//
// Layer normalisation and its gradient. Means first, then squares of what is left: all passes find
// their rows in a cache.
#include "functions.h"

/** The first `count` lanes, and zeros. */
INLINE vec first_of(vec v, long count) {
  float lanes[WIDTH];
  store(lanes, v);
  return load_some(lanes, count);
}

/** Rows of a block whose sums are kept together: a vector of means, a vector of deviations. */
enum { ROWS = WIDTH };

/**
 * Layer normalisation (Ba et al. 2016) of rows from `first` to `end`: y, and mean and 1 / deviation
 * of every row.
 */
EXPORT void reverie_layer_norm(const float *x, const float *gamma, const float *beta, float *y,
                               float *mean, float *rstd, long first, long end, long c,
                               float epsilon) {
  for (; first < end; first += ROWS) {
    long rows = least(ROWS, end - first);
    vec sums[ROWS];
    float means[ROWS], rstds[ROWS];
    for (long r = 0; r < ROWS; r++) {
      // The last rows again where there are no more.
      const float *from = x + (first + least(r, rows - 1)) * c;
      sums[r] = splat(0);
      for (long i = 0; i < c; i += WIDTH) {
        sums[r] += load_lanes(from + i, c - i);
      }
    }
    vec value = lane_sums(sums) / (float)c;
    store(means, value);
    store_lanes(mean + first, value, rows);
    for (long r = 0; r < ROWS; r++) {
      const float *from = x + (first + least(r, rows - 1)) * c;
      vec centre = splat(means[r]);
      sums[r] = splat(0);
      long i = 0;
      for (; i + WIDTH <= c; i += WIDTH) {
        vec a = load(from + i) - centre;
        sums[r] = fma_(a, a, sums[r]);
      }
      if (i < c) {
        vec a = load_some(from + i, c - i) - first_of(centre, c - i);
        sums[r] = fma_(a, a, sums[r]);
      }
    }
    value = splat(1) / square_root(lane_sums(sums) / (float)c + epsilon);
    store(rstds, value);
    store_lanes(rstd + first, value, rows);
    for (long r = 0; r < rows; r++) {
      const float *from = x + (first + r) * c;
      for (long i = 0; i < c; i += WIDTH) {
        vec normalised = (load_lanes(from + i, c - i) - means[r]) * rstds[r];
        vec out = fma_(normalised, load_lanes(gamma + i, c - i), load_lanes(beta + i, c - i));
        store_lanes(y + (first + r) * c + i, out, c - i);
      }
    }
  }
}

/**
 * The gradient of reverie_layer_norm: dx of rows from `first` to `end`, and in sums[2][c] what
 * these rows give to the gradients of beta and gamma.
 */
EXPORT void reverie_layer_norm_backward(const float *x, const float *gamma, const float *mean,
                                        const float *rstd, const float *dy, float *dx, float *sums,
                                        long first, long end, long c) {
  memset(sums, 0, sizeof(float) * (size_t)(2 * c));
  for (; first < end; first += ROWS) {
    long rows = least(ROWS, end - first);
    vec all[ROWS], along[ROWS];
    float mean_g[ROWS], mean_gx[ROWS];
    for (long r = 0; r < ROWS; r++) {
      all[r] = along[r] = splat(0);
      if (r >= rows) {
        continue;
      }
      long at = (first + r) * c;
      for (long i = 0; i < c; i += WIDTH) {
        vec d = load_lanes(dy + at + i, c - i), g = d * load_lanes(gamma + i, c - i);
        vec normalised = (load_lanes(x + at + i, c - i) - mean[first + r]) * rstd[first + r];
        all[r] += g;
        along[r] = fma_(g, normalised, along[r]);
        store_lanes(sums + i, load_lanes(sums + i, c - i) + d, c - i);
        vec slope = fma_(d, normalised, load_lanes(sums + c + i, c - i));
        store_lanes(sums + c + i, slope, c - i);
      }
    }
    store(mean_g, lane_sums(all) / (float)c);
    store(mean_gx, lane_sums(along) / (float)c);
    for (long r = 0; r < rows; r++) {
      long at = (first + r) * c;
      for (long i = 0; i < c; i += WIDTH) {
        vec g = load_lanes(dy + at + i, c - i) * load_lanes(gamma + i, c - i);
        vec normalised = (load_lanes(x + at + i, c - i) - mean[first + r]) * rstd[first + r];
        vec out = (g - mean_g[r] - normalised * mean_gx[r]) * rstd[first + r];
        store_lanes(dx + at + i, out, c - i);
      }
    }
  }
}
