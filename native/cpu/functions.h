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

/** (log(1 + f) - f + f^2/2) / f^3 for f in [-1/3, 1/3]. */
INLINE vec logarithm_tail(vec f) {
  vec q = splat(0.11331657320261002f);
  q = fma_(q, f, splat(-0.12423323839902878f));
  q = fma_(q, f, splat(0.10915482044219971f));
  q = fma_(q, f, splat(-0.12288535386323929f));
  q = fma_(q, f, splat(0.14291875064373016f));
  q = fma_(q, f, splat(-0.1667332500219345f));
  q = fma_(q, f, splat(0.19999948143959045f));
  q = fma_(q, f, splat(-0.24999943375587463f));
  return fma_(q, f, splat(0.3333333432674408f));
}

/** The natural logarithm of positive normal numbers; infinity for infinity, NaN for NaN. */
INLINE vec logarithm(vec x) {
  const ivec two_thirds = (ivec)splat(2.0f / 3);
  ivec exponent = ((ivec)x - two_thirds) >> 23;
  vec f = (vec)((ivec)x - (exponent << 23)) - splat(1);
  vec n = to_float(exponent);
  vec q = fma_(logarithm_tail(f), f, splat(-0.5f));
  vec low = fma_(f * f, q, n * -2.1219444005469057e-4f);
  vec y = fma_(n, splat(0.693359375f), f + low);
  return choose(x < splat(INFINITY), y, x);
}

/** Clamps x to where the standard normal distribution in float is neither 0 nor 1. */
INLINE vec normal_range(vec x) {
  const vec bound = splat(5.5437173f);
  return larger(-bound, smaller(bound, x));
}

/**
 * The share of a standard normal distribution below x, to 1.5e-7; times x this is GELU. The error
 * function is a quotient of polynomials, minimax for the relative error.
 *
 * u: the square of x, which is in normal_range
 */
INLINE vec normal_distribution(vec x, vec u) {
  vec p = splat(2.2650704161244686e-08f);
  p = fma_(p, u, splat(6.294998083730117e-06f));
  p = fma_(p, u, splat(0.00016641201931343874f));
  p = fma_(p, u, splat(0.004662333838120397f));
  p = fma_(p, u, splat(0.033658848639693116f));
  p = fma_(p, u, splat(0.3989422730332985f));
  vec q = splat(1.1903667149945103e-06f);
  q = fma_(q, u, splat(7.26562493031331e-05f));
  q = fma_(q, u, splat(0.0018711165976563768f));
  q = fma_(q, u, splat(0.02852693910825144f));
  q = fma_(q, u, splat(0.25103659270093825f));
  q = fma_(q, u, splat(1));
  return x * p / q + 0.5f;
}

/** x times the standard normal distribution (Hendrycks and Gimpel 2016). */
INLINE vec gelu(vec x) {
  vec inside = normal_range(x);
  return x * normal_distribution(inside, inside * inside);
}

/**
 * The same, and its derivative. The density is no less than e^-80, which is nothing beside the
 * distribution: numbers below the normal ones take the processor a hundred times longer.
 */
INLINE vec gelu_and_slope(vec x, vec *slope) {
  const vec log2_density_at_zero = splat(-1.3257480647361593f);
  vec inside = normal_range(x), below = normal_distribution(inside, inside * inside);
  vec exponent = fma_(x * x, splat(-0.5f * LOG2_E), log2_density_at_zero);
  *slope = fma_(x, power_of_two(larger(splat(-115), exponent)), below);
  return x * below;
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
