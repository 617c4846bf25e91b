// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "check.h"

void reverie_unary(int, const float *, float *, long);
void reverie_binary(int, const float *, const float *, float *, long);
void reverie_affine(const float *, float *, float, float, long);
void reverie_clamp(const float *, float *, float, float, long);
void reverie_select(const float *, const float *, const float *, float *, long);
void reverie_gelu_backward(const float *, const float *, float *, long);
void reverie_softmax(const float *, float *, long, long, long);
void reverie_softmax_backward(const float *, const float *, float *, long, long, long);
double reverie_sum(const float *, long);
float reverie_largest(const float *, long);
void reverie_largest_rows(const float *, float *, long, long);
void reverie_pool(const float *, long, long, long, float, float *);

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static double below(double x) { return 0.5 * (1 + erf(x * sqrt(0.5))); }

/** By the place in Java's Unary.Kind, as in maps.c; NAN for what is computed elsewhere. */
static double unary(int kind, double x) {
  switch (kind) {
    case 0: return fabs(x);
    case 2: return erf(x);
    case 4: return x * below(x);
    case 5: return log(x);
    case 6: return log(sigmoid(x));
    case 7: return 1 / x;
    case 8: return x > 0 ? x : 0;
    case 9: return sigmoid(x);
    case 10: return (x > 0) - (x < 0);
    case 13: return sqrt(x);
    case 14: return x * x;
    case 15: return tanh(x);
    default: return NAN;
  }
}

static double binary(int kind, double a, double b) {
  switch (kind) {
    case 0: return a + b;
    case 1: return a / b;
    case 2: return a > b;
    case 3: return a > b ? a : b;
    case 4: return a > b ? b : a;
    case 5: return a * b;
    default: return a - b;
  }
}

static void elements(long n) {
  float *a = numbers(n, 1), *b = numbers(n, 2), *mask = numbers(n, 3), *y = floats(n);
  float *x = floats(n);
  double *want = calloc((size_t)n + 1, sizeof(double));
  for (int kind = 0; kind < 16; kind++) {
    if (isnan(unary(kind, 1))) continue;
    for (long i = 0; i < n; i++) {
      x[i] = kind == 5 || kind == 13 ? fabsf(a[i]) : kind == 7 ? a[i] + 3 : 6 * a[i];
      want[i] = unary(kind, x[i]);
    }
    reverie_unary(kind, x, y, n);
    expect_close("unary", y, want, n, 5e-7);
  }
  for (int kind = 0; kind < 7; kind++) {
    for (long i = 0; i < n; i++) {
      want[i] = binary(kind, a[i], b[i]);
    }
    reverie_binary(kind, a, b, y, n);
    expect_close("binary", y, want, n, 1e-7);
  }
  for (long i = 0; i < n; i++) {
    want[i] = 3 * a[i] - 2;
  }
  reverie_affine(a, y, 3, -2, n);
  expect_close("affine", y, want, n, 2e-7);
  for (long i = 0; i < n; i++) {
    want[i] = fmin(fmax(b[i], -0.25), 0.5);
  }
  reverie_clamp(b, y, -0.25f, 0.5f, n);
  expect_close("clamp", y, want, n, 0);
  for (long i = 0; i < n; i++) {
    mask[i] = mask[i] > 0;
    want[i] = mask[i] != 0 ? a[i] : b[i];
  }
  reverie_select(mask, a, b, y, n);
  expect_close("select", y, want, n, 0);
  for (long i = 0; i < n; i++) {
    double at = a[i];
    want[i] = b[i] * (below(at) + at * exp(-0.5 * at * at) / sqrt(2 * M_PI));
  }
  reverie_gelu_backward(a, b, y, n);
  expect_close("gelu backward", y, want, n, 5e-7);
  double sum = 0, largest = -INFINITY;
  for (long i = 0; i < n; i++) {
    sum += a[i];
    largest = fmax(largest, a[i]);
  }
  const float got[] = {(float)reverie_sum(a, n), reverie_largest(a, n)};
  expect_close("sum and largest", got, (double[]){sum, largest}, n > 0 ? 2 : 1, 1e-5);
  free(a), free(b), free(mask), free(x), free(y), free(want);
}

static void rows(long n, long c) {
  float *x = numbers(n * c, 1), *dy = numbers(n * c, 2), *y = floats(n * c), *dx = floats(n * c);
  float *most = floats(c), *pooled = floats(c);
  double *y1 = calloc((size_t)(n * c), sizeof(double)), *dx1 = calloc((size_t)(n * c), sizeof(double));
  double *most1 = calloc((size_t)c, sizeof(double));
  for (long r = 0; r < n; r++) {
    double total = 0, dot = 0;
    for (long i = 0; i < c; i++) {
      total += exp(x[r * c + i]);
      most1[i] = r == 0 ? x[i] : fmax(most1[i], x[r * c + i]);
    }
    for (long i = r * c; i < (r + 1) * c; i++) {
      y1[i] = exp(x[i]) / total;
      dot += y1[i] * dy[i];
    }
    for (long i = r * c; i < (r + 1) * c; i++) {
      dx1[i] = y1[i] * (dy[i] - dot);
    }
  }
  reverie_softmax(x, y, 0, n / 2, c);
  reverie_softmax(x, y, n / 2, n, c);
  expect_close("softmax", y, y1, n * c, 5e-7);
  reverie_softmax_backward(y, dy, dx, 0, n, c);
  expect_close("softmax backward", dx, dx1, n * c, 5e-7);
  reverie_largest_rows(x, most, n, c);
  expect_close("largest of columns", most, most1, c, 0);
  // Four rows are two pixels of two rows of an image.
  if (n == 4) {
    for (long i = 0; i < c; i++) {
      most1[i] = 0.25 * ((double)x[i] + x[c + i] + x[2 * c + i] + x[3 * c + i]);
    }
    reverie_pool(x, 2 * c, 2, c, 0.25f, pooled);
    expect_close("pool", pooled, most1, c, 2e-7);
  }
  x[c / 2] = NAN;
  if (!isnan(reverie_largest(x, n * c))) {
    puts("the largest of numbers with NaN is a number");
    exit(1);
  }
  free(x), free(dy), free(y), free(dx), free(most), free(pooled), free(y1), free(dx1), free(most1);
}

int main(void) {
  const long sizes[] = {0, 1, 7, 8, 16, 17, 100, 1500};
  for (int i = 0; i < 8; i++) {
    elements(sizes[i]);
  }
  for (long c = 1; c < 40; c += 5) {
    rows(4, c);
    rows(7, c);
  }
}
