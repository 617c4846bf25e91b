// SPDX-License-Identifier: Apache-2.0
//
// Activations, sums and products element by element, and sums down columns.
#include "functions.h"

/** y = a * gelu(b) for rows of x = [a, b], each half c long (Shazeer 2020). */
EXPORT void reverie_geglu(const float *x, float *y, long first, long end, long c) {
  for (long row = first; row < end; row++) {
    const float *a = x + row * 2 * c, *b = a + c;
    for (long i = 0; i < c; i += WIDTH) {
      vec gated = load_lanes(a + i, c - i) * gelu(load_lanes(b + i, c - i));
      store_lanes(y + row * c + i, gated, c - i);
    }
  }
}

/** The gradient of reverie_geglu, and, unless y is null, its result again. */
EXPORT void reverie_geglu_backward(const float *x, const float *dy, float *dx, float *y, long first,
                                   long end, long c) {
  for (long row = first; row < end; row++) {
    const float *a = x + row * 2 * c, *b = a + c;
    float *da = dx + row * 2 * c, *db = da + c;
    for (long i = 0; i < c; i += WIDTH) {
      vec by = load_lanes(a + i, c - i), d = load_lanes(dy + row * c + i, c - i);
      vec slope, at = gelu_and_slope(load_lanes(b + i, c - i), &slope);
      store_lanes(da + i, d * at, c - i);
      store_lanes(db + i, d * by * slope, c - i);
      if (y) {
        store_lanes(y + row * c + i, by * at, c - i);
      }
    }
  }
}

/** y = x * sigmoid(x). */
EXPORT void reverie_silu(const float *x, float *y, long first, long end) {
  for (long i = first; i < end; i += WIDTH) {
    vec at = load_lanes(x + i, end - i);
    store_lanes(y + i, at * sigmoid(at), end - i);
  }
}

/** y = exp(x). */
EXPORT void reverie_exp(const float *x, float *y, long first, long end) {
  for (long i = first; i < end; i += WIDTH) {
    store_lanes(y + i, exponential(load_lanes(x + i, end - i)), end - i);
  }
}

/** dx = dy * silu'(x). */
EXPORT void reverie_silu_backward(const float *x, const float *dy, float *dx, long first,
                                  long end) {
  for (long i = first; i < end; i += WIDTH) {
    vec at = load_lanes(x + i, end - i);
    store_lanes(dx + i, load_lanes(dy + i, end - i) * silu_slope(at), end - i);
  }
}

/** y = a + b * factor. */
EXPORT void reverie_add(const float *a, const float *b, float *y, float factor, long first,
                        long end) {
  for (long i = first; i < end; i += WIDTH) {
    vec sum = fma_(load_lanes(b + i, end - i), splat(factor), load_lanes(a + i, end - i));
    store_lanes(y + i, sum, end - i);
  }
}

/** to[row] = the sum of (a - b)^2 over rows of c elements. */
EXPORT void reverie_squared_distances(const float *a, const float *b, float *to, long rows, long c) {
  enum { RUN = 512 };  // elements that are summed in float
  for (long row = 0; row < rows; row++, a += c, b += c) {
    double total = 0;
    for (long from = 0; from < c; from += RUN) {
      const long end = least(from + RUN, c);
      vec sum = {0};
      for (long i = from; i < end; i += WIDTH) {
        vec d = load_lanes(a + i, end - i) - load_lanes(b + i, end - i);
        sum += d * d;
      }
      for (int lane = 0; lane < WIDTH; lane++) {
        total += sum[lane];
      }
    }
    to[row] = (float)total;
  }
}

/** y[row] = x[row] + b for rows of c elements. */
EXPORT void reverie_add_row(const float *x, const float *b, float *y, long first, long end,
                            long c) {
  for (long row = first; row < end; row++) {
    for (long i = 0; i < c; i += WIDTH) {
      vec sum = load_lanes(x + row * c + i, c - i) + load_lanes(b + i, c - i);
      store_lanes(y + row * c + i, sum, c - i);
    }
  }
}

/** The sums of `vectors` vectors of columns from column i on. */
INLINE void columns(const float *x, float *to, long rows, long c, long i, long vectors) {
  vec sums[4];
  UNROLLED(long n = 0; n < vectors; n++) { sums[n] = splat(0); }
  for (long row = 0; row < rows; row++) {
    UNROLLED(long n = 0; n < vectors; n++) {
      long at = i + n * WIDTH;
      sums[n] += vectors > 1 ? load(x + row * c + at) : load_lanes(x + row * c + at, c - at);
    }
  }
  UNROLLED(long n = 0; n < vectors; n++) { store_lanes(to + i + n * WIDTH, sums[n], c - i); }
}

/** to[i] = sum over rows of x[row][i]. */
EXPORT void reverie_sum_rows(const float *x, float *to, long rows, long c) {
  long i = 0;
  for (; i + 4 * WIDTH <= c; i += 4 * WIDTH) {
    columns(x, to, rows, c, i, 4);
  }
  for (; i + 2 * WIDTH <= c; i += 2 * WIDTH) {
    columns(x, to, rows, c, i, 2);
  }
  for (; i < c; i += WIDTH) {
    columns(x, to, rows, c, i, 1);
  }
}
