// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>

#include "check.h"

void reverie_layer_norm(const float *, const float *, const float *, float *, float *, float *,
                        long, long, long, float);
void reverie_layer_norm_backward(const float *, const float *, const float *, const float *,
                                 const float *, float *, float *, long, long, long);
void reverie_group_norm(const float *, const float *, const float *, float *, float *, float *,
                        long, long, long, long, float, int, float *);
void reverie_group_norm_backward(const float *, const float *, const float *, const float *,
                                 const float *, const float *, float *, float *, long, long, long,
                                 long, int, float *);

static double *doubles(long count) { return calloc((size_t)count + 1, sizeof(double)); }

/** Everything about one image; layer normalisation is that of images of one pixel and one group. */
static void expected(const float *x, const float *gamma, const float *beta, const float *dy,
                     long pixels, long c, long groups, bool silu, double *y, double *mean,
                     double *rstd, double *dx, double *sums) {
  long width = c / groups;
  for (long g = 0; g < groups; g++) {
    double m = 0, v = 0, all = 0, along = 0, n = (double)(pixels * width);
    for (long p = 0; p < pixels; p++) {
      for (long i = g * width; i < (g + 1) * width; i++) {
        m += x[p * c + i] / n;
      }
    }
    for (long p = 0; p < pixels; p++) {
      for (long i = g * width; i < (g + 1) * width; i++) {
        v += (x[p * c + i] - m) * (x[p * c + i] - m) / n;
      }
    }
    double r = 1 / sqrt(v + 1e-5);
    mean[g] = m, rstd[g] = r;
    for (int pass = 0; pass < 2; pass++) {
      for (long p = 0; p < pixels; p++) {
        for (long i = g * width; i < (g + 1) * width; i++) {
          long at = p * c + i;
          double normalised = (x[at] - m) * r, z = normalised * gamma[i] + beta[i];
          double s = 1 / (1 + exp(-z)), d = silu ? dy[at] * s * (1 + z * (1 - s)) : dy[at];
          if (pass == 0) {
            y[at] = silu ? z * s : z;
            sums[i] += d;
            sums[c + i] += d * normalised;
            all += d * gamma[i] / n;
            along += d * gamma[i] * normalised / n;
          } else {
            dx[at] = r * (d * gamma[i] - all - normalised * along);
          }
        }
      }
    }
  }
}

static void norm(bool layers, long n, long pixels, long c, long groups, bool silu) {
  long size = n * pixels * c;
  float *x = numbers(size, 1), *gamma = numbers(c, 2), *beta = numbers(c, 3);
  float *dy = numbers(size, 4), *y = floats(size), *dx = floats(size), *sums = floats(2 * c);
  float *mean = floats(n * groups), *rstd = floats(n * groups), *scratch = floats(9 * c);
  double *y1 = doubles(size), *dx1 = doubles(size), *sums1 = doubles(2 * c);
  double *mean1 = doubles(n * groups), *rstd1 = doubles(n * groups);
  for (long i = 0; i < n; i++) {
    long at = i * pixels * c;
    expected(x + at, gamma, beta, dy + at, pixels, c, groups, silu, y1 + at, mean1 + i * groups,
             rstd1 + i * groups, dx1 + at, sums1);
  }
  if (layers) {
    reverie_layer_norm(x, gamma, beta, y, mean, rstd, 0, n / 2, c, 1e-5f);
    reverie_layer_norm(x, gamma, beta, y, mean, rstd, n / 2, n, c, 1e-5f);
    reverie_layer_norm_backward(x, gamma, mean, rstd, dy, dx, sums, 0, n, c);
  } else {
    float *total = numbers(2 * c, 5);
    for (long i = 0; i < 2 * c; i++) {
      total[i] = 0;
    }
    for (long image = n - 1; image >= 0; image--) {
      float *four = floats(4 * c);
      reverie_group_norm(x, gamma, beta, y, mean, rstd, image, pixels, c, groups, 1e-5f, silu,
                         four);
      free(four);
      reverie_group_norm_backward(x, gamma, beta, mean, rstd, dy, dx, sums, image, pixels, c,
                                  groups, silu, scratch);
      for (long i = 0; i < 2 * c; i++) {
        total[i] += sums[i];
      }
    }
    free(sums);
    sums = total;
  }
  expect_close("mean", mean, mean1, n * groups, 1e-6);
  expect_close("rstd", rstd, rstd1, n * groups, 1e-6);
  expect_close("y", y, y1, size, 2e-6);
  expect_close("dx", dx, dx1, size, 1e-5);
  expect_close("sums", sums, sums1, 2 * c, 1e-5);
  free(x), free(gamma), free(beta), free(dy), free(y), free(dx), free(sums), free(mean);
  free(rstd), free(scratch), free(y1), free(dx1), free(sums1), free(mean1), free(rstd1);
}

int main(void) {
  static const long widths[] = {3, 8, 16, 33, 64};
  for (int i = 0; i < 5; i++) {
    norm(true, 1, 1, widths[i], 1, false);
    norm(true, 37, 1, widths[i], 1, false);
  }
  for (int silu = 0; silu < 2; silu++) {
    norm(false, 2, 5, 6, 3, silu);
    norm(false, 1, 300, 32, 8, silu);
    norm(false, 2, 9, 64, 32, silu);
    norm(false, 1, 1, 40, 8, silu);
  }
}
