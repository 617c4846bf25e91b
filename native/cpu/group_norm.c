// SPDX-License-Identifier: Apache-2.0
//
// Group normalisation with SiLU after it, and its gradient. Means first, then squares of what is
// left. A pass takes some vectors of channels together, from pixel to pixel: fewer, and it would
// jump through memory faster than the processor fetches it.
#include <stdbool.h>

#include "functions.h"

enum {
  // Vectors of channels that a pass takes together, at most.
  MAX_VECTORS = WIDTH / 4,
  // Pixels summed in float before the sum moves to double.
  RUN = 32,
  // Pixels from the one in work to the one that is fetched.
  AHEAD = 8,
};

/** Runs CALL(n, i) for all c channels, n vectors from channel i on; only one alone may have a tail. */
#define EACH_BLOCK(c, CALL)                                 \
  for (long i = 0, left; (left = (c) - i) > 0;) {           \
    if (left >= MAX_VECTORS * WIDTH) {                      \
      CALL(MAX_VECTORS, i);                                 \
      i += MAX_VECTORS * WIDTH;                             \
    } else if (left >= 2 * WIDTH) {                         \
      CALL(2, i);                                           \
      i += 2 * WIDTH;                                       \
    } else {                                                \
      CALL(1, i);                                           \
      i += WIDTH;                                           \
    }                                                       \
  }

/** n vectors that begin at channel i of c. */
INLINE void load_block(const int n, const float *from, long i, long c, vec *to) {
  UNROLLED(int j = 0; j < n; j++) {
    to[j] = n > 1 ? load(from + i + j * WIDTH) : load_lanes(from + i, c - i);
  }
}

INLINE void store_block(const int n, float *to, long i, long c, const vec *from) {
  UNROLLED(int j = 0; j < n; j++) {
    if (n > 1) {
      store(to + i + j * WIDTH, from[j]);
    } else {
      store_lanes(to + i, from[j], c - i);
    }
  }
}

INLINE void zero_block(const int n, vec *to) {
  UNROLLED(int j = 0; j < n; j++) {
    to[j] = splat(0);
  }
}

INLINE void fetch_block(const int n, const float *from) {
  UNROLLED(int j = 0; j < n; j++) {
    soon_read(from + j * WIDTH);
  }
}

INLINE void claim_block(const int n, float *to) {
  UNROLLED(int j = 0; j < n; j++) {
    soon_written(to + j * WIDTH);
  }
}

/** to[i] and on += the lanes of n vectors. */
INLINE void add_lanes(const int n, const vec *from, long i, long c, double *to) {
  float lanes[MAX_VECTORS * WIDTH];
  store_block(n, lanes, 0, n * WIDTH, from);
  for (long k = 0; k < least(n * WIDTH, c - i); k++) {
    to[i + k] += lanes[k];
  }
}

/** Adds, in channels from i on, what sum_columns asks for. */
INLINE void sum_block(const int n, const float *x, long pixels, long c, long i,
                      const float *centre, double *to) {
  vec about[MAX_VECTORS], sum[MAX_VECTORS];
  zero_block(n, sum);
  if (centre) {
    load_block(n, centre, i, c, about);
  }
  for (long p = 0; p < pixels; p++, x += c) {
    vec at[MAX_VECTORS];
    fetch_block(n, x + AHEAD * c + i);
    load_block(n, x, i, c, at);
    UNROLLED(int j = 0; j < n; j++) {
      vec off = centre ? at[j] - about[j] : at[j];
      sum[j] = centre ? fma_(off, off, sum[j]) : sum[j] + off;
    }
  }
  add_lanes(n, sum, i, c, to);
}

/** to[i] = the sum over pixels of x[pixel][i], or of the square of its distance to centre[i]. */
INLINE void sum_columns(const float *x, long pixels, long c, const float *centre, double *to) {
  memset(to, 0, sizeof(double) * (size_t)c);
  for (long start = 0; start < pixels; start += RUN) {
    const long some = least(RUN, pixels - start);
#define CALL(n, i) sum_block(n, x + start * c, some, c, i, centre, to)
    EACH_BLOCK(c, CALL)
#undef CALL
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

/** y = (x - centre) * factor + shift, for channels from i on, then SiLU. */
INLINE void normalise_block(const int n, const float *x, float *y, long pixels, long c, long i,
                            const float *centre, const float *factor, const float *shift,
                            const bool silu) {
  vec about[MAX_VECTORS], scale[MAX_VECTORS], beta[MAX_VECTORS];
  load_block(n, centre, i, c, about);
  load_block(n, factor, i, c, scale);
  load_block(n, shift, i, c, beta);
  for (long p = 0; p < pixels; p++, x += c, y += c) {
    vec z[MAX_VECTORS];
    claim_block(n, y + AHEAD * c + i);
    load_block(n, x, i, c, z);
    UNROLLED(int j = 0; j < n; j++) {
      z[j] = fma_(z[j] - about[j], scale[j], beta[j]);
      z[j] = silu ? z[j] * sigmoid(z[j]) : z[j];
    }
    store_block(n, y, i, c, z);
  }
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
  sum_columns(x, pixels, c, NULL, sums);
  for (long g = 0; g < groups; g++) {
    mean[g] = group_mean(sums + g * width, width, pixels);
    for (long i = g * width; i < (g + 1) * width; i++) {
      centre[i] = mean[g];
    }
  }
  sum_columns(x, pixels, c, centre, sums);
  for (long g = 0; g < groups; g++) {
    rstd[g] = 1 / __builtin_sqrtf(group_mean(sums + g * width, width, pixels) + epsilon);
    for (long i = g * width; i < (g + 1) * width; i++) {
      factor[i] = rstd[g] * gamma[i];
    }
  }
#define CALL(n, i)                                                            \
  if (silu) {                                                                 \
    normalise_block(n, x, y, pixels, c, i, centre, factor, beta, true);       \
  } else {                                                                    \
    normalise_block(n, x, y, pixels, c, i, centre, factor, beta, false);      \
  }
  EACH_BLOCK(c, CALL)
#undef CALL
}

/** One image of group normalisation, as its gradient sees it. */
struct image {
  const float *x, *gamma, *beta, *dy;
  float *dx;
  long c;
  // Of every channel: mean, 1 / deviation.
  const float *centre, *rstd;
};

/**
 * Adds to the gradients of beta and gamma what `pixels` give, channels from i on. With SiLU, dx
 * becomes the gradient before it, for the second pass.
 */
INLINE void slope_block(const int n, const struct image *f, long start, long pixels, long i,
                        const bool silu, double *by_beta, double *by_gamma) {
  const long c = f->c;
  vec about[MAX_VECTORS], deviation[MAX_VECTORS], weight[MAX_VECTORS];
  vec shift[MAX_VECTORS], sum[MAX_VECTORS], along[MAX_VECTORS];
  load_block(n, f->centre, i, c, about);
  load_block(n, f->rstd, i, c, deviation);
  load_block(n, f->gamma, i, c, weight);
  load_block(n, f->beta, i, c, shift);
  zero_block(n, sum);
  zero_block(n, along);
  for (long at = start * c; at < (start + pixels) * c; at += c) {
    vec d[MAX_VECTORS], x[MAX_VECTORS];
    fetch_block(n, f->x + at + AHEAD * c + i);
    fetch_block(n, f->dy + at + AHEAD * c + i);
    load_block(n, f->dy + at, i, c, d);
    load_block(n, f->x + at, i, c, x);
    UNROLLED(int j = 0; j < n; j++) {
      vec normalised = (x[j] - about[j]) * deviation[j];
      if (silu) {
        d[j] *= silu_slope(fma_(normalised, weight[j], shift[j]));
      }
      sum[j] += d[j];
      along[j] = fma_(normalised, d[j], along[j]);
    }
    if (silu) {
      claim_block(n, f->dx + at + AHEAD * c + i);
      store_block(n, f->dx + at, i, c, d);
    }
  }
  add_lanes(n, sum, i, c, by_beta);
  add_lanes(n, along, i, c, by_gamma);
}

/** dx = dz * scale + (x - centre) * from_x + constant, for channels from i on. */
INLINE void gradient_block(const int n, const struct image *f, const float *dz, long pixels, long i,
                           const float *scale, const float *from_x, const float *constant) {
  const long c = f->c;
  vec about[MAX_VECTORS], a[MAX_VECTORS], b[MAX_VECTORS], rest[MAX_VECTORS];
  load_block(n, f->centre, i, c, about);
  load_block(n, scale, i, c, a);
  load_block(n, from_x, i, c, b);
  load_block(n, constant, i, c, rest);
  for (long at = 0; at < pixels * c; at += c) {
    vec d[MAX_VECTORS], x[MAX_VECTORS];
    claim_block(n, f->dx + at + AHEAD * c + i);
    load_block(n, dz + at, i, c, d);
    load_block(n, f->x + at, i, c, x);
    UNROLLED(int j = 0; j < n; j++) {
      d[j] = fma_(x[j] - about[j], b[j], fma_(d[j], a[j], rest[j]));
    }
    store_block(n, f->dx + at, i, c, d);
  }
}

/**
 * The gradient of reverie_group_norm: dx of one image, and in sums[2][c] what it gives to the
 * gradients of beta and gamma. scratch: 9 * c floats.
 */
EXPORT void reverie_group_norm_backward(const float *x, const float *gamma, const float *beta,
                                        const float *mean, const float *rstd, const float *dy,
                                        float *dx, float *sums, long image, long pixels, long c,
                                        long groups, int silu, float *scratch) {
  const long width = c / groups, offset = image * pixels * c;
  mean += image * groups, rstd += image * groups;
  double *by_beta = (double *)scratch, *by_gamma = by_beta + c;
  float *centre = scratch + 4 * c, *deviation = centre + c, *scale = deviation + c;
  float *from_x = scale + c, *constant = from_x + c;
  memset(by_beta, 0, sizeof(double) * (size_t)(2 * c));
  for (long i = 0; i < c; i++) {
    centre[i] = mean[i / width];
    deviation[i] = rstd[i / width];
  }
  const struct image f = {x + offset, gamma, beta, dy + offset, dx + offset, c, centre, deviation};
  for (long start = 0; start < pixels; start += RUN) {
    const long some = least(RUN, pixels - start);
#define CALL(n, i)                                                  \
  if (silu) {                                                       \
    slope_block(n, &f, start, some, i, true, by_beta, by_gamma);    \
  } else {                                                          \
    slope_block(n, &f, start, some, i, false, by_beta, by_gamma);   \
  }
    EACH_BLOCK(c, CALL)
#undef CALL
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
#define CALL(n, i) \
  gradient_block(n, &f, silu ? f.dx : f.dy, pixels, i, scale, from_x, constant)
  EACH_BLOCK(c, CALL)
#undef CALL
}
