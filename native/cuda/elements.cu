// SPDX-License-Identifier: Apache-2.0
//
// Functions of single elements, each as two kernels: NAME for operands that are as contiguous as
// the result, four elements at a time, and NAME_strided for any strides and broadcasting.
#include "kernel.h"

enum { MOST_AXES = 8, MOST_OPERANDS = 3 };

typedef struct {
  float *y;
  const float *from[MOST_OPERANDS];
  long n, fours; // fours: how many times four elements can be taken at once, 0 if not aligned
  float p, q;
  int axes, dims[MOST_AXES], strides[MOST_OPERANDS][MOST_AXES];
} Elements;

/** Where the element at a place of the result lies in an operand. */
DEVICE long position(const Elements *at, int operand, long place) {
  long found = 0;
  for (int axis = at->axes - 1; axis > 0; axis--) {
    found += place % at->dims[axis] * at->strides[operand][axis];
    place /= at->dims[axis];
  }
  return found + place * at->strides[operand][0];
}

#define USE(value) (void)value

/** Defines both kernels of the function `expression` of a, b, c, p and q. */
#define ELEMENTS(name, operands, expression)                                            \
  DEVICE float at_##name(float a, float b, float c, float p, float q) {                 \
    USE(a), USE(b), USE(c), USE(p), USE(q);                                             \
    return expression;                                                                  \
  }                                                                                     \
  KERNEL(name, Elements) {                                                              \
    const float *from_a = at.from[0], *from_b = at.from[operands > 1 ? 1 : 0],          \
                *from_c = at.from[operands > 2 ? 2 : 0];                                \
    FOR_EACH(i, at.fours) {                                                             \
      float4 a = ((const float4 *)from_a)[i], b = a, c = a, y;                          \
      if (operands > 1) b = ((const float4 *)from_b)[i];                                \
      if (operands > 2) c = ((const float4 *)from_c)[i];                                \
      y.x = at_##name(a.x, b.x, c.x, at.p, at.q);                                       \
      y.y = at_##name(a.y, b.y, c.y, at.p, at.q);                                       \
      y.z = at_##name(a.z, b.z, c.z, at.p, at.q);                                       \
      y.w = at_##name(a.w, b.w, c.w, at.p, at.q);                                       \
      ((float4 *)at.y)[i] = y;                                                          \
    }                                                                                   \
    long done = 4 * at.fours;                                                           \
    FOR_EACH(rest, at.n - done) {                                                       \
      long i = done + rest;                                                             \
      at.y[i] = at_##name(from_a[i], from_b[i], from_c[i], at.p, at.q);                 \
    }                                                                                   \
  }                                                                                     \
  KERNEL(name##_strided, Elements) {                                                    \
    FOR_EACH(i, at.n) {                                                                 \
      float a = at.from[0][position(&at, 0, i)], b = a, c = a;                          \
      if (operands > 1) b = at.from[1][position(&at, 1, i)];                            \
      if (operands > 2) c = at.from[2][position(&at, 2, i)];                            \
      at.y[i] = at_##name(a, b, c, at.p, at.q);                                         \
    }                                                                                   \
  }

#define SQRT_HALF 0.70710678118654752f
#define DENSITY_AT_ZERO 0.3989422804014327f

/** 0 stays 0, of either sign, and NaN stays NaN. */
DEVICE float sign_of(float a) { return a > 0 ? 1 : a < 0 ? -1 : a; }

/** The normal distribution function, accurate in its left tail as well. */
DEVICE float normal_below(float a) { return 0.5f * erfcf(-a * SQRT_HALF); }

DEVICE float gelu_slope(float a) {
  return normal_below(a) + a * DENSITY_AT_ZERO * expf(-0.5f * a * a);
}

/** The smaller; NaN if one is, and -0 before 0. */
DEVICE float minimum_of(float a, float b) {
  if (a == b) return bits_to_float(float_to_bits(a) | float_to_bits(b));
  return a < b || a != a ? a : b;
}

DEVICE float maximum_of(float a, float b) {
  if (a == b) return bits_to_float(float_to_bits(a) & float_to_bits(b));
  return a > b || a != a ? a : b;
}

/** Rounded to the nearest binary16, ties to even: by adding what pushes the lower bits out. */
DEVICE float rounded_to_f16(float a) {
  float size = fabsf(a);
  if (!(size < 65520.0f)) return a != a ? a : copysignf(INFINITY, a);
  // Numbers from 2^e on keep bits down to 2^(e-10), and no less than 2^-24.
  int exponent = (float_to_bits(size) >> 23) - 127;
  float unit = bits_to_float(((exponent < -14 ? -14 : exponent) + 13 + 127) << 23);
  float shifted = size + unit;
  return copysignf(shifted - unit, a);
}

ELEMENTS(copy, 1, a)
ELEMENTS(affine, 1, p *a + q)
ELEMENTS(clamp, 1, minimum_of(maximum_of(a, p), q))
ELEMENTS(power, 1, powf(a, p))
ELEMENTS(round_to_bf16, 1, rounded_to_bf16(a))
ELEMENTS(round_to_f16, 1, rounded_to_f16(a))

ELEMENTS(abs, 1, fabsf(a))
ELEMENTS(cos, 1, cosf(a))
ELEMENTS(erf, 1, erff(a))
ELEMENTS(exp, 1, expf(a))
ELEMENTS(gelu, 1, a *normal_below(a))
ELEMENTS(log, 1, logf(a))
ELEMENTS(log_sigmoid, 1, minimum_of(a, 0) - log1pf(expf(-fabsf(a))))
ELEMENTS(reciprocal, 1, 1 / a)
ELEMENTS(relu, 1, maximum_of(a, 0))
ELEMENTS(sigmoid, 1, sigmoid_at(a))
ELEMENTS(sign, 1, sign_of(a))
ELEMENTS(silu, 1, silu_at(a))
ELEMENTS(sin, 1, sinf(a))
ELEMENTS(sqrt, 1, sqrtf(a))
ELEMENTS(square, 1, a *a)
ELEMENTS(tanh, 1, tanhf(a))

ELEMENTS(add, 2, a + b)
ELEMENTS(div, 2, a / b)
ELEMENTS(greater, 2, a > b ? 1.0f : 0.0f)
ELEMENTS(maximum, 2, maximum_of(a, b))
ELEMENTS(minimum, 2, minimum_of(a, b))
ELEMENTS(mul, 2, a *b)
ELEMENTS(sub, 2, a - b)
ELEMENTS(silu_backward, 2, b *silu_slope(a))
ELEMENTS(gelu_backward, 2, b *gelu_slope(a))

ELEMENTS(select, 3, a != 0 ? b : c)

typedef struct {
  float *y;
  long n;
  float value;
} Filled;

KERNEL(fill, Filled) {
  FOR_EACH(i, at.n) at.y[i] = at.value;
}

typedef struct {
  float *y;
  const float *bias, *residual; // either may be null
  long n, pixels;               // pixels: rows that share a row of the bias; 0 if all do
  int c;
} Epilogue;

/** y += bias + residual, for rows of c elements. */
KERNEL(epilogue, Epilogue) {
  FOR_EACH(i, at.n) {
    float y = at.y[i];
    if (at.bias) y += at.bias[i % at.c + (at.pixels ? i / (at.pixels * at.c) * at.c : 0)];
    if (at.residual) y += at.residual[i];
    at.y[i] = y;
  }
}

typedef struct {
  const float *x, *dy;
  float *y;
  long rows;
  int c;
} Gate;

/** y = a * gelu(b) for rows of x = [a, b], each half c long (Shazeer 2020). */
KERNEL(geglu, Gate) {
  FOR_EACH(i, at.rows * at.c) {
    const float *a = at.x + i / at.c * 2 * at.c + i % at.c;
    at.y[i] = a[0] * a[at.c] * normal_below(a[at.c]);
  }
}

/** Its gradient, in y. */
KERNEL(geglu_backward, Gate) {
  FOR_EACH(i, at.rows * at.c) {
    long place = i / at.c * 2 * at.c + i % at.c;
    float a = at.x[place], b = at.x[place + at.c], dy = at.dy[i];
    at.y[place] = dy * b * normal_below(b);
    at.y[place + at.c] = dy * a * gelu_slope(b);
  }
}

typedef struct {
  const float *a, *b, *weight;
  float *y;
  long n;
} Lerped;

/** y = a + weight * (b - a). */
KERNEL(lerp, Lerped) {
  FOR_EACH(i, at.n) at.y[i] = at.a[i] + at.weight[0] * (at.b[i] - at.a[i]);
}

typedef struct {
  const float *p, *g, *m, *v, *control;
  float *p_next, *m_next, *v_next;
  long n;
  float beta1, beta2, epsilon, decay;
} Adam;

/** A step of AdamW; control: learning rate, both bias corrections, the factor of the gradient. */
KERNEL(adam_w, Adam) {
  float rate = at.control[0], correction1 = at.control[1], correction2 = at.control[2];
  FOR_EACH(i, at.n) {
    float p = at.p[i], g = at.g[i] * at.control[3];
    float m = at.beta1 * at.m[i] + (1 - at.beta1) * g;
    float v = at.beta2 * at.v[i] + (1 - at.beta2) * g * g;
    at.p_next[i] =
        p - rate * (m / correction1 / (sqrtf(v / correction2) + at.epsilon) + at.decay * p);
    at.m_next[i] = m;
    at.v_next[i] = v;
  }
}
