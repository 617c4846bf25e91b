// SPDX-License-Identifier: Apache-2.0
//
// Functions of vectors that only some kernels need. Exponentials are powers of two.
#ifndef REVERIE_FUNCTIONS_H
#define REVERIE_FUNCTIONS_H

#include <math.h>

#include "vector.h"

static const float LOG2_E = 1.4426950408889634f;

#define UNROLLED _Pragma("GCC unroll 16") for

/**
 * 2 to the x within two units in the last place; infinity from 128 on, NaN for NaN. The polynomial
 * is minimax for the relative error from 0 to 1, 9.2e-8, with p(0) = 1 and p(1) = 2: exact at and
 * just below whole numbers. AVX2 has no gradual underflow: 2^-126 is the least.
 */
INLINE vec power_of_two(vec x) {
#if WIDTH == 16
  vec f = (vec)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEG_INF); // 0 for an infinity
#else
  const vec round = splat(12582912.0f); // 1.5 * 2^23 leaves the rounded integer in the low bits
  x = smaller(splat(128), larger(splat(-126), x));
  vec rounded = (x - splat(0.5f)) + round;
  vec f = x - (rounded - round);
#endif
  vec p = splat(0.001879318617284298f);
  p = fma_(p, f, splat(0.008990994654595852f));
  p = fma_(p, f, splat(0.05581867694854736f));
  p = fma_(p, f, splat(0.240159273147583f));
  p = fma_(p, f, splat(0.6931517124176025f));
  p = fma_(p, f, splat(1));
#if WIDTH == 16
  return (vec)_mm512_scalef_ps((__m512)p, (__m512)x); // scales by 2 to the floor of x
#else
  return p * (vec)(((ivec)rounded + 127) << 23);
#endif
}

/** e to the x within three units in the last place, with gradual underflow; NaN for NaN. */
INLINE vec exponential(vec x) {
  const vec round = splat(12582912.0f); // 1.5 * 2^23 leaves the rounded integer in the low bits
  x = smaller(splat(105), larger(splat(-105), x));
  vec rounded = fma_(x, splat(LOG2_E), round), n = rounded - round;
  vec rest = fma_(n, splat(2.1219444005469057e-4f), fma_(n, splat(-0.693359375f), x));
  vec p = power_of_two(rest * LOG2_E);
  // Two factors, because 2 to the n alone may be no float.
  ivec power = (ivec)rounded - (ivec)round, half = power >> 1;
  return p * (vec)((half + 127) << 23) * (vec)((power - half + 127) << 23);
}

/** The natural logarithm of positive normal numbers; infinity for infinity, NaN for NaN. */
INLINE vec logarithm(vec x) {
  const ivec two_thirds = (ivec)splat(2.0f / 3);
  ivec exponent = ((ivec)x - two_thirds) >> 23;
  vec f = (vec)((ivec)x - (exponent << 23)) - splat(1);
  vec n = to_float(exponent);
  vec q = splat(0.11331657320261002f);
  q = fma_(q, f, splat(-0.12423323839902878f));
  q = fma_(q, f, splat(0.10915482044219971f));
  q = fma_(q, f, splat(-0.12288535386323929f));
  q = fma_(q, f, splat(0.14291875064373016f));
  q = fma_(q, f, splat(-0.1667332500219345f));
  q = fma_(q, f, splat(0.19999948143959045f));
  q = fma_(q, f, splat(-0.24999943375587463f));
  q = fma_(q, f, splat(0.3333333432674408f));
  q = fma_(q, f, splat(-0.5f));
  vec low = fma_(f * f, q, n * -2.1219444005469057e-4f);
  vec y = fma_(n, splat(0.693359375f), f + low);
  return choose(x < splat(INFINITY), y, x);
}

/**
 * The error function, to 3e-7: a quotient of polynomials, minimax for the relative error up to the
 * bound from which on the result rounds to 1.
 */
INLINE vec error_function(vec x) {
  const vec bound = splat(3.92f);
  x = larger(-bound, smaller(bound, x));
  vec u = x * x;
  vec p = splat(2.0501077134165077e-06f);
  p = fma_(p, u, splat(0.0002848790932839608f));
  p = fma_(p, u, splat(0.0037654741544793356f));
  p = fma_(p, u, splat(0.05274828596944697f));
  p = fma_(p, u, splat(0.1904032009604688f));
  p = fma_(p, u, splat(1.128379146255282f));
  vec q = splat(3.809173487982433e-05f);
  q = fma_(q, u, splat(0.0011624999888501296f));
  q = fma_(q, u, splat(0.014968932781251014f));
  q = fma_(q, u, splat(0.11410775643300576f));
  q = fma_(q, u, splat(0.5020731854018765f));
  q = fma_(q, u, splat(1));
  return x * p / q;
}

/** The share of a standard normal distribution below x; times x this is GELU. */
INLINE vec normal_distribution(vec x) {
  return 0.5f * (splat(1) + error_function(x * 0.70710678118654752f));
}

/**
 * The standard normal density, but no less than e^-80, which is nothing beside the distribution:
 * numbers below the normal ones take the processor a hundred times longer.
 */
INLINE vec normal_density(vec x) {
  return 0.3989422804014327f * power_of_two(larger(splat(-115), x * x * (-0.5f * LOG2_E)));
}

/** 1 / (1 + exp(-x)). */
INLINE vec sigmoid(vec x) { return splat(1) / (splat(1) + power_of_two(x * -LOG2_E)); }

/** The derivative of x * sigmoid(x). */
INLINE vec silu_slope(vec x) {
  vec s = sigmoid(x);
  return s * fma_(x, splat(1) - s, splat(1));
}

/** Lane i of the result is the sum of all lanes of v[i]. */
INLINE vec lane_sums(vec v[WIDTH]) {
  UNROLLED(int half = WIDTH / 2; half > 0; half /= 2) {
    ivec second = (LANES & half) != 0;
    ivec straight = LANES + (second & WIDTH), crossed = (LANES ^ half) + (second & WIDTH);
    UNROLLED(int i = 0; i < half; i++) {
      v[i] = __builtin_shuffle(v[i], v[i + half], straight)
             + __builtin_shuffle(v[i], v[i + half], crossed);
    }
  }
  return v[0];
}

#endif
