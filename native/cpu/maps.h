// SPDX-License-Identifier: Apache-2.0
//
// What maps.c is made of: functions from exactly rounded steps only, in the order of steps of the
// kernels in Java's Vector API.
#ifndef REVERIE_MAPS_H
#define REVERIE_MAPS_H

#include <math.h>

#include "functions.h"

static const float SQRT_HALF = 0.70710678118654752f;
static const float DENSITY_AT_ZERO = 0.39894228040143268f;

INLINE vec absolute(vec x) { return (vec)((ivec)x & 0x7fffffff); }

/** The larger one, NaN if either is, and 0 rather than -0. */
INLINE vec maximum(vec a, vec b) {
  vec one = choose(a == b, (vec)((ivec)a & (ivec)b), larger(a, b));
  return choose(a != a, a, one);
}

/** The smaller one, NaN if either is, and -0 rather than 0. */
INLINE vec minimum(vec a, vec b) {
  vec one = choose(a == b, (vec)((ivec)a | (ivec)b), smaller(a, b));
  return choose(a != a, a, one);
}

/** The first `count` lanes, and zeros. */
INLINE vec first_of(vec x, long count) {
  return choose(LANES < (int32_t)least(count, WIDTH), x, (vec){0});
}

/** The sum of all lanes, halves upon each other. */
INLINE float sum_of_lanes(vec v) {
#pragma GCC unroll 4
  for (int half = WIDTH / 2; half > 0; half /= 2) {
    v += __builtin_shuffle(v, (LANES + half) % WIDTH);
  }
  return v[0];
}

/** The largest of `count` elements; NaN if one is. */
INLINE float largest_of(const float *x, long count) {
  vec largest = splat(-INFINITY);
  for (long i = 0; i < count; i += WIDTH) {
    const ivec known = LANES < (int32_t)least(count - i, WIDTH);
    largest = maximum(largest, choose(known, load_lanes(x + i, count - i), splat(-INFINITY)));
  }
#pragma GCC unroll 4
  for (int half = WIDTH / 2; half > 0; half /= 2) {
    largest = maximum(largest, __builtin_shuffle(largest, (LANES + half) % WIDTH));
  }
  return largest[0];
}

INLINE vec two_to(ivec n) { return (vec)((n + 127) << 23); }

/** e to the x, with gradual underflow, infinity from 88.73 on, and NaN for NaN. */
INLINE vec exact_exp(vec given) {
  const vec round = splat(12582912.0f); // 1.5 * 2^23 leaves the rounded integer in the low bits
  vec x = maximum(minimum(given, splat(105)), splat(-105));
  vec rounded = fma_(x, splat(1.4426950408889634f), round), n = rounded - round;
  vec r = fma_(n, splat(-0.693359375f), x);
  r = fma_(n, splat(2.1219444005469057e-4f), r);
  vec q = splat(0.001392637612298131f);
  q = fma_(q, r, splat(0.008363333530724049f));
  q = fma_(q, r, splat(0.04166655242443085f));
  q = fma_(q, r, splat(0.16666576266288757f));
  q = fma_(q, r, splat(0.5f));
  vec p = fma_(r * r, q, r) + splat(1);
  // Two factors, because 2 to the n alone may be no float.
  ivec power = (ivec)rounded - (ivec)round, half = power >> 1;
  return p * two_to(half) * two_to(power - half);
}

/** The natural logarithm; minus infinity for 0, NaN for negative numbers. */
INLINE vec exact_log(vec given) {
  const ivec two_thirds = (ivec)splat(2.0f / 3);
  const ivec small = given < splat(0x1p-126f);
  vec x = choose(small, given * 0x1p23f, given);
  ivec exponent = ((ivec)x - two_thirds) >> 23;
  vec f = (vec)((ivec)x - (exponent << 23)) - splat(1);
  vec n = to_float(exponent);
  n = choose(small, n - splat(23), n);
  vec square = f * f;
  vec q = logarithm_tail(f) * f - splat(0.5f);
  vec low = fma_(square, q, -(n * 2.1219444005469057e-4f));
  vec y = fma_(n, splat(0.693359375f), f + low);
  y = choose(given == splat(0), splat(-INFINITY), y);
  y = choose(given < splat(0), splat(NAN), y);
  return choose(given < splat(INFINITY), y, given);
}

/**
 * The error function: an odd polynomial up to 1, beyond it 1 - exp(-x^2) * polynomial.
 *
 * bell: exp(-x^2)
 */
INLINE vec error_function(vec x, vec bell) {
  vec size = absolute(x), u = x * x;
  vec near = splat(7.875874871388078e-05f);
  near = fma_(near, u, splat(-0.000801686430349946f));
  near = fma_(near, u, splat(0.005189087241888046f));
  near = fma_(near, u, splat(-0.02685421146452427f));
  near = fma_(near, u, splat(0.11283594369888306f));
  near = fma_(near, u, splat(-0.3761262595653534f));
  near = fma_(near, u, splat(1.1283791065216064f)) * x;
  vec t = minimum(size, splat(4)) - splat(2);
  vec tail = splat(1.6118907524287351e-06f);
  tail = fma_(tail, t, splat(-1.4437316167459358e-05f));
  tail = fma_(tail, t, splat(6.152370769996196e-05f));
  tail = fma_(tail, t, splat(-0.0001939646463142708f));
  tail = fma_(tail, t, splat(0.0005909596220590174f));
  tail = fma_(tail, t, splat(-0.0018231581198051572f));
  tail = fma_(tail, t, splat(0.005439292173832655f));
  tail = fma_(tail, t, splat(-0.015463408082723618f));
  tail = fma_(tail, t, splat(0.041803304105997086f));
  tail = fma_(tail, t, splat(-0.10679621249437332f));
  tail = fma_(tail, t, splat(0.25539565086364746f));
  vec far = splat(1) - tail * bell;
  return choose(size <= splat(1), near, choose(x < splat(0), -far, far));
}

/** x times the standard normal distribution (Hendrycks and Gimpel 2016). */
INLINE vec exact_gelu(vec x) {
  vec scaled = x * SQRT_HALF;
  return x * 0.5f * (error_function(scaled, exact_exp(-(scaled * scaled))) + splat(1));
}

INLINE vec hyperbolic_tangent(vec x) {
  vec u = x * x;
  vec q = splat(0.0022149027790874243f);
  q = fma_(q, u, splat(-0.00827245693653822f));
  q = fma_(q, u, splat(0.021746186539530754f));
  q = fma_(q, u, splat(-0.053956348448991776f));
  q = fma_(q, u, splat(0.13333290815353394f));
  q = fma_(q, u, splat(-0.3333333432674408f));
  vec near = fma_(u * q, x, x), size = absolute(x);
  vec far = splat(1) - splat(2) / (exact_exp(size + size) + splat(1));
  return choose(size < splat(0.625f), near, choose(x < splat(0), -far, far));
}

/** log(1 / (1 + exp(-x))). */
INLINE vec log_sigmoid(vec x) {
  vec e = exact_exp(-absolute(x)), one = splat(1);
  // log(1 + e), corrected for what was rounded off in 1 + e.
  vec u = e + one, log = exact_log(u) + (e - (u - one)) / u;
  return minimum(x, splat(0)) - log;
}

#endif
