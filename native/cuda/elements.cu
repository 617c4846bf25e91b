// SPDX-License-Identifier: Apache-2.0
//
// Functions of single elements, each as two kernels: NAME for operands that are as contiguous as
// the result, four elements at a time, and NAME_strided for any strides and broadcasting; and all of
// them in any composition.
#include "sums.h"

enum { MAX_AXES = 8, MAX_OPERANDS = 3 };

typedef struct {
  Result y;
  const float *from[MAX_OPERANDS];
  long n, fours; // fours: how many times four elements can be taken at once, 0 if not aligned
  float p, q;
  int axes, dims[MAX_AXES], strides[MAX_OPERANDS][MAX_AXES];
} Elements;

/** Where the element at a place of the result lies in an operand with these strides. */
DEVICE long position(int axes, const int *dims, const int *strides, long place) {
  long found = 0;
  for (int axis = axes - 1; axis > 0; axis--) {
    found += place % dims[axis] * strides[axis];
    place /= dims[axis];
  }
  return found + place * strides[0];
}

DEVICE float strided_operand(const Elements *at, int operand, long place) {
  return at->from[operand][position(at->axes, at->dims, at->strides[operand], place)];
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
      put_results(at.y, 4 * i, y, 4, 1);                                                \
    }                                                                                   \
    long done = 4 * at.fours;                                                           \
    FOR_EACH(rest, at.n - done) {                                                       \
      long i = done + rest;                                                             \
      put_result(at.y, i, at_##name(from_a[i], from_b[i], from_c[i], at.p, at.q));      \
    }                                                                                   \
  }                                                                                     \
  KERNEL(name##_strided, Elements) {                                                    \
    FOR_EACH(i, at.n) {                                                                 \
      float a = strided_operand(&at, 0, i), b = a, c = a;                               \
      if (operands > 1) b = strided_operand(&at, 1, i);                                 \
      if (operands > 2) c = strided_operand(&at, 2, i);                                 \
      put_result(at.y, i, at_##name(a, b, c, at.p, at.q));                              \
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

/** All functions; Elements.java has their names in the same order. */
#define FUNCTIONS(DEFINE)                                            \
  DEFINE(copy, 1, a)                                                 \
  DEFINE(affine, 1, p *a + q)                                        \
  DEFINE(clamp, 1, minimum_of(maximum_of(a, p), q))                  \
  DEFINE(power, 1, powf(a, p))                                       \
  DEFINE(round_to_bf16, 1, rounded_to_bf16(a))                       \
  DEFINE(round_to_f16, 1, rounded_to_f16(a))                         \
  DEFINE(abs, 1, fabsf(a))                                           \
  DEFINE(cos, 1, cosf(a))                                            \
  DEFINE(erf, 1, erff(a))                                            \
  DEFINE(exp, 1, expf(a))                                            \
  DEFINE(gelu, 1, a *normal_below(a))                                \
  DEFINE(log, 1, logf(a))                                            \
  DEFINE(log_sigmoid, 1, minimum_of(a, 0) - log1pf(expf(-fabsf(a)))) \
  DEFINE(reciprocal, 1, 1 / a)                                       \
  DEFINE(relu, 1, maximum_of(a, 0))                                  \
  DEFINE(sigmoid, 1, sigmoid_at(a))                                  \
  DEFINE(sign, 1, sign_of(a))                                        \
  DEFINE(silu, 1, silu_at(a))                                        \
  DEFINE(sin, 1, sinf(a))                                            \
  DEFINE(sqrt, 1, sqrtf(a))                                          \
  DEFINE(square, 1, a *a)                                            \
  DEFINE(tanh, 1, tanhf(a))                                          \
  DEFINE(add, 2, a + b)                                              \
  DEFINE(div, 2, a / b)                                              \
  DEFINE(greater, 2, a > b ? 1.0f : 0.0f)                            \
  DEFINE(maximum, 2, maximum_of(a, b))                               \
  DEFINE(minimum, 2, minimum_of(a, b))                               \
  DEFINE(mul, 2, a *b)                                               \
  DEFINE(sub, 2, a - b)                                              \
  DEFINE(silu_backward, 2, b *silu_slope(a))                         \
  DEFINE(gelu_backward, 2, b *gelu_slope(a))                         \
  DEFINE(select, 3, a != 0 ? b : c)

FUNCTIONS(ELEMENTS)

/** Shares the indices from 0 to n - 1 among all threads of all blocks, four to each. */
#define FOR_EACH_FOUR(i, n) \
  for (long i = 4 * (block() * THREADS + thread()); i < (n); i += 4 * blocks() * THREADS)

enum { MAX_COMPOSED = 16, MAX_INPUTS = 8, SLOTS = 4 };

/** A function of a composition; its operands are slots or, by higher numbers, inputs. */
typedef struct {
  Result y; // where others find the result; may be nowhere
  float p, q;
  int function, slot; // slot: where later functions find it, -1 for nowhere
  int operands[MAX_OPERANDS]; // -1 for none
} Function;

typedef struct {
  const float *inputs[MAX_INPUTS];
  long n;
  int functions, aligned; // aligned: whether all results and inputs but the strided ones are
  int strided;            // has a bit for each input that is not as contiguous as the results
  int axes, dims[MAX_AXES], strides[MAX_INPUTS][MAX_AXES];
  Function function[MAX_COMPOSED];
} Composed;

#define NUMBER(name, operands, expression) NUMBER_##name,
enum { FUNCTIONS(NUMBER) };

#define CASE(name, operands, expression)       \
  case NUMBER_##name:                          \
    y.x = at_##name(a.x, b.x, c.x, p, q);      \
    y.y = at_##name(a.y, b.y, c.y, p, q);      \
    y.z = at_##name(a.z, b.z, c.z, p, q);      \
    y.w = at_##name(a.w, b.w, c.w, p, q);      \
    break;

DEVICE float4 four_at(int function, float4 a, float4 b, float4 c, float p, float q) {
  float4 y = a;
  switch (function) { FUNCTIONS(CASE) }
  return y;
}

DEVICE float4 operand(const Composed *at, const float4 *slots, int number, long i, int some) {
  if (number < SLOTS) return slots[number * THREADS];
  int input = number - SLOTS;
  const float *x = at->inputs[input];
  if (!(at->strided >> input & 1)) return load_four(x + i, some, at->aligned && some == 4);
  const int *strides = at->strides[input];
  float4 value = four(x[position(at->axes, at->dims, strides, i)]);
  if (some > 1) value.y = x[position(at->axes, at->dims, strides, i + 1)];
  if (some > 2) value.z = x[position(at->axes, at->dims, strides, i + 2)];
  if (some > 3) value.w = x[position(at->axes, at->dims, strides, i + 3)];
  return value;
}

/** One function after the other for four elements of a thread; nobody reads another's slots. */
KERNEL(composed, Composed) {
  SHARED float4 all[SLOTS * THREADS];
  float4 *slots = all + thread();
  FOR_EACH_FOUR(i, at.n) {
    int some = up_to_four(at.n - i);
    for (int k = 0; k < at.functions; k++) {
      const Function *one = &at.function[k];
      float4 a = operand(&at, slots, one->operands[0], i, some), b = a, c = a;
      if (one->operands[1] >= 0) b = operand(&at, slots, one->operands[1], i, some);
      if (one->operands[2] >= 0) c = operand(&at, slots, one->operands[2], i, some);
      float4 y = four_at(one->function, a, b, c, one->p, one->q);
      if (one->slot >= 0) slots[one->slot * THREADS] = y;
      put_results(one->y, i, y, some, at.aligned && some == 4);
    }
  }
}

typedef struct {
  float *y;
  long n;
  float value;
  int aligned;
} Filled;

KERNEL(fill, Filled) {
  FOR_EACH_FOUR(i, at.n) {
    int some = up_to_four(at.n - i);
    store_four(at.y + i, four(at.value), some, at.aligned && some == 4);
  }
}

typedef struct {
  Sum sum;
  Result y;
  long n;
  int aligned; // whether rows and all addresses are
} Epilogue;

/** y = sum, for fewer than 2^32 elements. */
KERNEL(epilogue, Epilogue) {
  FOR_EACH_FOUR(i, at.n) {
    int some = up_to_four(at.n - i);
    put_results(at.y, i, sums_at(&at.sum, (unsigned)i, some, at.aligned), some, at.aligned);
  }
}

typedef struct {
  Numbers x;
  Result y;
  const float *dy;
  const float *bias; // [2 c], of x; null for none
  long n;            // elements of half of x
  unsigned c;
  int aligned;
} Gate;

DEVICE float geglu_at(float a, float b) { return a * b * normal_below(b); }

/** y = a * gelu(b) for rows of x + bias = [a, b], each half c long (Shazeer 2020). */
KERNEL(geglu, Gate) {
  FOR_EACH_FOUR(first, at.n) {
    unsigned i = (unsigned)first;
    int some = up_to_four(at.n - first);
    if (at.aligned) {
      long from = first + i / at.c * (long)at.c;
      float4 a = numbers_at(at.x, from), b = numbers_at(at.x, from + at.c);
      if (at.bias) {
        a = add_fours(a, *(const float4 *)(at.bias + i % at.c));
        b = add_fours(b, *(const float4 *)(at.bias + at.c + i % at.c));
      }
      float4 y = {geglu_at(a.x, b.x), geglu_at(a.y, b.y), geglu_at(a.z, b.z), geglu_at(a.w, b.w)};
      put_results(at.y, first, y, 4, 1);
    } else {
      for (int k = 0; k < some; k++, i++) {
        long from = i + i / at.c * (long)at.c;
        float a = number_at(at.x, from), b = number_at(at.x, from + at.c);
        if (at.bias) {
          a += at.bias[i % at.c];
          b += at.bias[at.c + i % at.c];
        }
        put_result(at.y, i, geglu_at(a, b));
      }
    }
  }
}

/** Its gradient, in y. */
KERNEL(geglu_backward, Gate) {
  FOR_EACH_FOUR(first, at.n) {
    unsigned i = (unsigned)first;
    int some = up_to_four(at.n - first);
    if (at.aligned) {
      long place = first + i / at.c * (long)at.c;
      float4 a = numbers_at(at.x, place), b = numbers_at(at.x, place + at.c);
      if (at.bias) {
        a = add_fours(a, *(const float4 *)(at.bias + i % at.c));
        b = add_fours(b, *(const float4 *)(at.bias + at.c + i % at.c));
      }
      float4 dy = *(const float4 *)(at.dy + first);
      float4 da = {dy.x * b.x * normal_below(b.x), dy.y * b.y * normal_below(b.y),
                   dy.z * b.z * normal_below(b.z), dy.w * b.w * normal_below(b.w)};
      float4 db = {dy.x * a.x * gelu_slope(b.x), dy.y * a.y * gelu_slope(b.y),
                   dy.z * a.z * gelu_slope(b.z), dy.w * a.w * gelu_slope(b.w)};
      put_results(at.y, place, da, 4, 1);
      put_results(at.y, place + at.c, db, 4, 1);
    } else {
      for (int k = 0; k < some; k++, i++) {
        long place = i + i / at.c * (long)at.c;
        float a = number_at(at.x, place), b = number_at(at.x, place + at.c), dy = at.dy[i];
        if (at.bias) {
          a += at.bias[i % at.c];
          b += at.bias[at.c + i % at.c];
        }
        put_result(at.y, place, dy * b * normal_below(b));
        put_result(at.y, place + at.c, dy * a * gelu_slope(b));
      }
    }
  }
}
