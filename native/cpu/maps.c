// SPDX-License-Identifier: Apache-2.0
//
// Functions of single elements, of rows and of images that no other kernel needs.
//
// Compiled without contraction of a * b + c, and written so that results have the bits of the kernels in
// Java's Vector API for vectors of the same width.
#include "maps.h"

#define MAP(KIND, value)                                   \
  case KIND:                                               \
    for (long i = 0; i < count; i += WIDTH) {              \
      const vec at = load_lanes(x + i, count - i);         \
      store_lanes(y + i, value, count - i);                \
    }                                                      \
    break

/**
 * A function by its place in Java's Unary.Kind. EXP and SILU have functions of their own, COS and SIN are
 * Java's.
 */
EXPORT void reverie_unary(int kind, const float *x, float *y, long count) {
  enum { ABS, COS, ERF, EXP, GELU, LOG, LOG_SIGMOID, RECIPROCAL, RELU, SIGMOID, SIGN, SILU, SIN, SQRT,
         SQUARE, TANH };
  const vec one = splat(1), zero = {0};
  switch (kind) {
    MAP(ABS, absolute(at));
    MAP(ERF, error_function(at, exact_exp(-(at * at))));
    MAP(GELU, exact_gelu(at));
    MAP(LOG, exact_log(at));
    MAP(LOG_SIGMOID, log_sigmoid(at));
    MAP(RECIPROCAL, one / at);
    MAP(RELU, maximum(at, zero));
    MAP(SIGMOID, one / (exact_exp(-at) + one));
    MAP(SIGN, choose(at < zero, -one, choose(at > zero, one, at)));
    MAP(SQRT, square_root(at));
    MAP(SQUARE, at * at);
    MAP(TANH, hyperbolic_tangent(at));
  }
}

#define MAP_PAIRS(KIND, value)                             \
  case KIND:                                               \
    for (long i = 0; i < count; i += WIDTH) {              \
      const vec p = load_lanes(a + i, count - i);          \
      const vec q = load_lanes(b + i, count - i);          \
      store_lanes(y + i, value, count - i);                \
    }                                                      \
    break

/** A function by its place in Java's Binary.Kind. */
EXPORT void reverie_binary(int kind, const float *a, const float *b, float *y, long count) {
  enum { ADD, DIV, GREATER, MAXIMUM, MINIMUM, MUL, SUB };
  switch (kind) {
    MAP_PAIRS(ADD, p + q);
    MAP_PAIRS(DIV, p / q);
    MAP_PAIRS(GREATER, choose(p > q, splat(1), (vec){0}));
    MAP_PAIRS(MAXIMUM, maximum(p, q));
    MAP_PAIRS(MINIMUM, minimum(p, q));
    MAP_PAIRS(MUL, p * q);
    MAP_PAIRS(SUB, p - q);
  }
}

/** y = scale * x + shift. */
EXPORT void reverie_affine(const float *x, float *y, float scale, float shift, long count) {
  for (long i = 0; i < count; i += WIDTH) {
    const vec scaled = load_lanes(x + i, count - i) * scale;
    store_lanes(y + i, shift == 0 ? scaled : scaled + shift, count - i);
  }
}

/** y = x, but no less than low and no more than high. */
EXPORT void reverie_clamp(const float *x, float *y, float low, float high, long count) {
  for (long i = 0; i < count; i += WIDTH) {
    const vec at = load_lanes(x + i, count - i);
    store_lanes(y + i, minimum(maximum(at, splat(low)), splat(high)), count - i);
  }
}

/** y = b where the mask is 0, else a. */
EXPORT void reverie_select(const float *mask, const float *a, const float *b, float *y, long count) {
  for (long i = 0; i < count; i += WIDTH) {
    const long lanes = count - i;
    const ivec zero = load_lanes(mask + i, lanes) == (vec){0};
    store_lanes(y + i, choose(zero, load_lanes(b + i, lanes), load_lanes(a + i, lanes)), lanes);
  }
}

/** dx = dy * gelu'(x). */
EXPORT void reverie_gelu_backward(const float *x, const float *dy, float *dx, long count) {
  for (long i = 0; i < count; i += WIDTH) {
    const vec at = load_lanes(x + i, count - i);
    const vec bell = exact_exp(at * at * -0.5f);
    const vec below = (error_function(at * SQRT_HALF, bell) + splat(1)) * 0.5f;
    store_lanes(dx + i, load_lanes(dy + i, count - i) * (at * bell * DENSITY_AT_ZERO + below), count - i);
  }
}

/** y = softmax(x) for rows of c elements. */
EXPORT void reverie_softmax(const float *x, float *y, long first, long end, long c) {
  for (long row = first; row < end; row++) {
    const float *from = x + row * c;
    float *to = y + row * c;
    const vec largest = splat(largest_of(from, c));
    vec sum = {0};
    for (long i = 0; i < c; i += WIDTH) {
      const vec e = exact_exp(load_lanes(from + i, c - i) - largest);
      store_lanes(to + i, e, c - i);
      sum += first_of(e, c - i);
    }
    const float factor = 1 / sum_of_lanes(sum);
    for (long i = 0; i < c; i += WIDTH) {
      store_lanes(to + i, load_lanes(to + i, c - i) * factor, c - i);
    }
  }
}

/** dx = y * (dy - the sum of y * dy) for rows of c elements. */
EXPORT void reverie_softmax_backward(const float *y, const float *dy, float *dx, long first, long end,
                                     long c) {
  for (long row = first; row < end; row++) {
    const long at = row * c;
    vec sum = {0};
    for (long i = 0; i < c; i += WIDTH) {
      sum = fma_(load_lanes(y + at + i, c - i), load_lanes(dy + at + i, c - i), sum);
    }
    const vec dot = splat(sum_of_lanes(sum));
    for (long i = 0; i < c; i += WIDTH) {
      const vec d = (load_lanes(dy + at + i, c - i) - dot) * load_lanes(y + at + i, c - i);
      store_lanes(dx + at + i, d, c - i);
    }
  }
}

/** The sum of `count` elements: runs in float, added up in double. */
EXPORT double reverie_sum(const float *x, long count) {
  enum { RUN = 512 };
  double total = 0;
  for (long from = 0; from < count; from += RUN) {
    const long end = least(count, from + RUN);
    vec even = {0}, odd = {0};
    long i = from;
    for (; i + 2 * WIDTH <= end; i += 2 * WIDTH) {
      even += load(x + i);
      odd += load(x + i + WIDTH);
    }
    float sum = i > from ? sum_of_lanes(even + odd) : 0;
    for (; i < end; i++) {
      sum += x[i];
    }
    total += sum;
  }
  return total;
}

/** The largest of `count` elements; NaN if one is. */
EXPORT float reverie_largest(const float *x, long count) { return largest_of(x, count); }

/** to[i] = the largest of x[row][i], or NaN if one is, for rows of c elements. */
EXPORT void reverie_largest_rows(const float *x, float *to, long rows, long c) {
  for (long i = 0; i < c; i += WIDTH) {
    vec largest = splat(-INFINITY);
    for (long row = 0; row < rows; row++) {
      largest = maximum(largest, load_lanes(x + row * c + i, c - i));
    }
    store_lanes(to + i, largest, c - i);
  }
}

/** to[c] = scale * the sum over factor by factor pixels of c channels, whose rows are `row` apart. */
EXPORT void reverie_pool(const float *x, long row, long factor, long c, float scale, float *to) {
  for (long i = 0; i < c; i += WIDTH) {
    vec sum = {0};
    for (long j = 0; j < factor; j++) {
      for (long k = 0; k < factor; k++) {
        sum += load_lanes(x + j * row + k * c + i, c - i);
      }
    }
    store_lanes(to + i, sum * scale, c - i);
  }
}
