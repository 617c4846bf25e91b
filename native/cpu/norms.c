// SPDX-License-Identifier: Apache-2.0
//
// Layer and group normalisation with their gradients; group normalisation with SiLU after it.
//
// Means first, then squares of what is left: both passes find their rows in a cache.
#include <stdbool.h>

#include "functions.h"

/** The first `count` lanes, and zeros. */
INLINE vec first_of(vec v, long count) {
  float lanes[WIDTH];
  store(lanes, v);
  return load_some(lanes, count);
}

/** Rows of a piece whose sums are kept together: a vector of means, a vector of deviations. */
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

/** Pixels summed in float before the sum moves to double. */
enum { RUN = 256 };

/** to[i] += the sum over pixels of x[pixel][i] - centre[i], or of its square. */
INLINE void add_columns(const float *x, long pixels, long c, const float *centre, bool squares,
                        double *to) {
  for (long start = 0; start < pixels; start += RUN) {
    long end = least(pixels, start + RUN);
    for (long i = 0; i < c; i += WIDTH) {
      vec about = centre ? load_lanes(centre + i, c - i) : splat(0), even = splat(0),
          odd = splat(0);
      long p = start;
      for (; p + 2 <= end; p += 2) {
        vec a = load_lanes(x + p * c + i, c - i) - about;
        vec b = load_lanes(x + (p + 1) * c + i, c - i) - about;
        even = squares ? fma_(a, a, even) : even + a;
        odd = squares ? fma_(b, b, odd) : odd + b;
      }
      if (p < end) {
        vec a = load_lanes(x + p * c + i, c - i) - about;
        even = squares ? fma_(a, a, even) : even + a;
      }
      float sums[WIDTH];
      store(sums, even + odd);
      for (long n = 0; n < least(WIDTH, c - i); n++) {
        to[i + n] += sums[n];
      }
    }
  }
}

/** The mean of what was summed over a group of `width` channels. */
INLINE float group_mean(const double *sums, long width, long pixels) {
  double total = 0;
  for (long i = 0; i < width; i++) {
    total += sums[i];
  }
  return (float)(total / (double)(width * pixels));
}

/**
 * Group normalisation (Wu and He 2018) of one image [pixels, c], then SiLU if asked: y, and mean
 * and 1 / deviation of every group. scratch: 4 * c floats.
 */
EXPORT void reverie_group_norm(const float *x, const float *gamma, const float *beta, float *y,
                               float *mean, float *rstd, long image, long pixels, long c,
                               long groups, float epsilon, int silu, float *scratch) {
  x += image * pixels * c, y += image * pixels * c;
  mean += image * groups, rstd += image * groups;
  double *sums = (double *)scratch;
  float *centre = scratch + 2 * c, *factor = scratch + 3 * c;
  long width = c / groups;
  memset(sums, 0, sizeof(double) * (size_t)c);
  add_columns(x, pixels, c, NULL, false, sums);
  for (long g = 0; g < groups; g++) {
    mean[g] = group_mean(sums + g * width, width, pixels);
    for (long i = g * width; i < (g + 1) * width; i++) {
      centre[i] = mean[g];
    }
  }
  memset(sums, 0, sizeof(double) * (size_t)c);
  add_columns(x, pixels, c, centre, true, sums);
  for (long g = 0; g < groups; g++) {
    rstd[g] = 1 / __builtin_sqrtf(group_mean(sums + g * width, width, pixels) + epsilon);
    for (long i = g * width; i < (g + 1) * width; i++) {
      factor[i] = rstd[g] * gamma[i];
    }
  }
  for (long i = 0; i < c; i += WIDTH) {
    vec about = load_lanes(centre + i, c - i), scale = load_lanes(factor + i, c - i);
    vec shift = load_lanes(beta + i, c - i);
    for (long p = 0; p < pixels; p++) {
      vec z = fma_(load_lanes(x + p * c + i, c - i) - about, scale, shift);
      store_lanes(y + p * c + i, silu ? z * sigmoid(z) : z, c - i);
    }
  }
}

/**
 * The gradient of reverie_group_norm: dx of one image, and in sums[2][c] what it gives to the
 * gradients of beta and gamma. scratch: 8 * c floats.
 */
EXPORT void reverie_group_norm_backward(const float *x, const float *gamma, const float *beta,
                                        const float *mean, const float *rstd, const float *dy,
                                        float *dx, float *sums, long image, long pixels, long c,
                                        long groups, int silu, float *scratch) {
  long width = c / groups, offset = image * pixels * c;
  x += offset, dy += offset, dx += offset;
  mean += image * groups, rstd += image * groups;
  double *by_beta = (double *)scratch, *by_gamma = by_beta + c;
  float *centre = scratch + 4 * c, *scale = centre + c, *from_x = scale + c, *constant = from_x + c;
  memset(by_beta, 0, sizeof(double) * (size_t)(2 * c));
  for (long i = 0; i < c; i++) {
    centre[i] = mean[i / width];
    scale[i] = rstd[i / width];
  }
  for (long start = 0; start < pixels; start += RUN) {
    long end = least(pixels, start + RUN);
    for (long i = 0; i < c; i += WIDTH) {
      vec about = load_lanes(centre + i, c - i), deviation = load_lanes(scale + i, c - i);
      vec weight = load_lanes(gamma + i, c - i), shift = load_lanes(beta + i, c - i);
      vec sum = splat(0), along = splat(0);
      for (long p = start; p < end; p++) {
        vec d = load_lanes(dy + p * c + i, c - i);
        vec normalised = (load_lanes(x + p * c + i, c - i) - about) * deviation;
        if (silu) {
          // Kept for the second pass.
          d *= silu_slope(fma_(normalised, weight, shift));
          store_lanes(dx + p * c + i, d, c - i);
        }
        sum += d;
        along = fma_(normalised, d, along);
      }
      float lanes[2][WIDTH];
      store(lanes[0], sum);
      store(lanes[1], along);
      for (long n = 0; n < least(WIDTH, c - i); n++) {
        by_beta[i + n] += lanes[0][n];
        by_gamma[i + n] += lanes[1][n];
      }
    }
  }
  for (long i = 0; i < c; i++) {
    sums[i] = (float)by_beta[i];
    sums[c + i] = (float)by_gamma[i];
    by_beta[i] *= gamma[i];
    by_gamma[i] *= gamma[i];
  }
  for (long g = 0; g < groups; g++) {
    float mean_g = group_mean(by_beta + g * width, width, pixels);
    float mean_gx = group_mean(by_gamma + g * width, width, pixels);
    for (long i = g * width; i < (g + 1) * width; i++) {
      from_x[i] = -rstd[g] * rstd[g] * mean_gx;
      constant[i] = -rstd[g] * mean_g;
      scale[i] = rstd[g] * gamma[i];
    }
  }
  const float *from = silu ? dx : dy;
  for (long i = 0; i < c; i += WIDTH) {
    vec about = load_lanes(centre + i, c - i), a = load_lanes(scale + i, c - i);
    vec b = load_lanes(from_x + i, c - i), rest = load_lanes(constant + i, c - i);
    for (long p = 0; p < pixels; p++) {
      vec sum = fma_(load_lanes(from + p * c + i, c - i), a, rest);
      store_lanes(dx + p * c + i,
                  fma_(load_lanes(x + p * c + i, c - i) - about, b, sum), c - i);
    }
  }
}
