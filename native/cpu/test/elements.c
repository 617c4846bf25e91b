// SPDX-License-Identifier: Apache-2.0
#include "check.h"

void reverie_geglu(const float *, float *, long, long, long);
void reverie_geglu_backward(const float *, const float *, float *, float *, long, long, long);
void reverie_exp(const float *, float *, long, long);
void reverie_squared_distances(const float *, const float *, float *, long, long);
void reverie_silu(const float *, float *, long, long);
void reverie_silu_backward(const float *, const float *, float *, long, long);
void reverie_add(const float *, const float *, float *, float, long, long);
void reverie_add_row(const float *, const float *, float *, long, long, long);
void reverie_sum_rows(const float *, float *, long, long);

static double *doubles(long count) { return calloc((size_t)count + 1, sizeof(double)); }

/** Numbers between -6 and 6. */
static float *wide(long count, uint64_t seed) {
  float *p = numbers(count, seed);
  for (long i = 0; i < count; i++) {
    p[i] *= 6;
  }
  return p;
}

static void gates(long rows, long c) {
  float *x = wide(2 * rows * c, 1), *dy = numbers(rows * c, 2);
  float *y = floats(rows * c), *dx = floats(2 * rows * c);
  double *y1 = doubles(rows * c), *dx1 = doubles(2 * rows * c);
  for (long row = 0; row < rows; row++) {
    for (long i = 0; i < c; i++) {
      long to = row * c + i, at = 2 * row * c + i;
      double a = x[at], b = x[at + c], phi = 0.5 * (1 + erf(b * sqrt(0.5)));
      y1[to] = a * b * phi;
      dx1[at] = dy[to] * b * phi;
      dx1[at + c] = dy[to] * a * (phi + b * exp(-0.5 * b * b) / sqrt(2 * M_PI));
    }
  }
  reverie_geglu(x, y, 0, rows / 2, c);
  reverie_geglu(x, y, rows / 2, rows, c);
  float *again = floats(rows * c);
  reverie_geglu_backward(x, dy, dx, 0, 0, rows / 2, c);
  reverie_geglu_backward(x, dy, dx, again, rows / 2, rows, c);
  // 1 + erf cancels, and what is left is multiplied by up to 36.
  expect_close("geglu", y, y1, rows * c, 4e-6);
  expect_close("geglu backward", dx, dx1, 2 * rows * c, 4e-6);
  const long half = rows / 2 * c;
  expect_close("geglu again", again + half, y1 + half, rows * c - half, 4e-6);
  free(x), free(dy), free(y), free(dx), free(again), free(y1), free(dx1);
}

static void elements(long n) {
  float *a = wide(n, 1), *b = numbers(n, 2), *y = floats(n);
  enum { KINDS = 5 };
  double *want[KINDS];
  for (int i = 0; i < KINDS; i++) {
    want[i] = doubles(n);
  }
  for (long i = 0; i < n; i++) {
    double s = 1 / (1 + exp(-(double)a[i]));
    want[0][i] = a[i] * s;
    want[1][i] = b[i] * s * (1 + a[i] * (1 - s));
    want[2][i] = a[i] - 0.5 * b[i];
    want[3][i] = exp(a[i]);
    want[4][i / 3] += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
  }
  reverie_silu(a, y, 0, n);
  expect_close("silu", y, want[0], n, 1e-6);
  reverie_silu_backward(a, b, y, 0, n);
  expect_close("silu backward", y, want[1], n, 1e-6);
  reverie_add(a, b, y, -0.5f, 0, n);
  expect_close("add", y, want[2], n, 1e-6);
  reverie_exp(a, y, 0, n);
  expect_close("exp", y, want[3], n, 4e-7);
  reverie_squared_distances(a, b, y, n / 3, 3);
  expect_close("squared distances", y, want[4], n / 3, 1e-6);
  for (int i = 0; i < KINDS; i++) {
    free(want[i]);
  }
  free(a), free(b), free(y);
}

static void rows(long count, long c) {
  float *x = numbers(count * c, 1), *b = numbers(c, 2), *y = floats(count * c), *sum = floats(c);
  double *y1 = doubles(count * c), *sum1 = doubles(c);
  for (long i = 0; i < count * c; i++) {
    y1[i] = (double)x[i] + b[i % c];
    sum1[i % c] += x[i];
  }
  reverie_add_row(x, b, y, 0, count, c);
  expect_close("add row", y, y1, count * c, 1e-6);
  reverie_sum_rows(x, sum, count, c);
  expect_close("sum rows", sum, sum1, c, 1e-5);
  free(x), free(b), free(y), free(sum), free(y1), free(sum1);
}

int main(void) {
  for (long n = 1; n < 120; n += 13) {
    gates(n % 7 + 1, n);
    elements(n);
    rows(n % 5 + 1, n);
  }
}
