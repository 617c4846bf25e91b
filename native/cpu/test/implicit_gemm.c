// SPDX-License-Identifier: Apache-2.0
#include "check.h"

struct windows {
  long h, w, channels, rows, cols, stride, top, left, ytaps, xtaps, step;
};

void reverie_gemm_pack(const float *, long, long, long, long, long, long, long, long, float *);
void reverie_implicit_gemm(const struct windows *, const float *, const float *, int, long, float *, long,
                     long, long, const float *, long, const float *, long, long, float *);
void reverie_implicit_gemm_weight(const struct windows *, const float *, const float *, long, float *,
                            long, long, float *);

/** What lies under a tap, or 0. */
static double under(const struct windows *f, const float *images, long window, long k) {
  long c = k % f->channels, j = k / f->channels % f->xtaps, i = k / f->channels / f->xtaps;
  long y = window / f->cols % f->rows * f->stride + f->top + i * f->step;
  long x = window % f->cols * f->stride + f->left + j * f->step;
  long image = window / (f->rows * f->cols);
  int inside = y >= 0 && y < f->h && x >= 0 && x < f->w;
  return inside ? images[((image * f->h + y) * f->w + x) * f->channels + c] : 0;
}

static void forward(const struct windows *f, long images, long n, int packed, int per_image,
                    long spread) {
  const long all = images * f->rows * f->cols, taps = f->ytaps * f->xtaps * f->channels;
  const long out_pixel = n * spread, out_row = f->cols * out_pixel * spread;
  const long out_image = f->rows * out_row + (spread - 1) * 5;
  const long size = images * out_image;
  float *x = numbers(images * f->h * f->w * f->channels, 1), *weights = numbers(taps * n, 2);
  float *bias = numbers(images * n, 3), *residual = numbers(size, 4), *out = floats(size);
  float *panels = floats(taps * ((n + 31) / 32 * 32));
  float *scratch = floats((1 << 18) + 16 * (taps + 32));
  for (long tap = 0; packed && tap < f->ytaps * f->xtaps; tap++) {
    reverie_gemm_pack(weights + tap * f->channels * n, n, 1, f->channels, n, tap * f->channels, taps,
                      0, n, panels);
  }
  for (long i = 0; i < all; i += 37) {
    reverie_implicit_gemm(f, x, packed ? panels : weights, packed, n, out, out_image, out_row, out_pixel,
                    bias, per_image ? n : 0, spread == 1 ? residual : 0, i,
                    i + 37 < all ? i + 37 : all, scratch);
  }
  double *want = malloc(sizeof(double) * (size_t)n);
  for (long i = 0; i < all; i++) {
    long image = i / (f->rows * f->cols);
    long at = image * out_image + i / f->cols % f->rows * out_row + i % f->cols * out_pixel;
    for (long j = 0; j < n; j++) {
      want[j] = bias[(per_image ? image * n : 0) + j] + (spread == 1 ? residual[at + j] : 0);
      for (long k = 0; k < taps; k++) {
        want[j] += under(f, x, i, k) * weights[k * n + j];
      }
    }
    expect_close("patches", out + at, want, n, 2e-7 * (double)(taps + 2));
  }
  free(x), free(weights), free(bias), free(residual), free(out), free(panels), free(scratch);
  free(want);
}

static void weight(const struct windows *f, long images, long n) {
  const long all = images * f->rows * f->cols, taps = f->ytaps * f->xtaps * f->channels;
  float *x = numbers(images * f->h * f->w * f->channels, 5), *dy = numbers(all * n, 6);
  float *out = floats(taps * n);
  float *scratch = floats((1 << 18) + 16 * (taps + 32) + 256 * (n + 32));
  double *want = malloc(sizeof(double) * (size_t)(taps * n + 1));
  for (int half = 0; half < 2; half++) {
    const long first = half * all / 2, end = (half + 1) * all / 2;
    reverie_implicit_gemm_weight(f, x, dy, n, out, first, end, scratch);
    for (long k = 0; k < taps; k++) {
      for (long j = 0; j < n; j++) {
        want[k * n + j] = 0;
        for (long i = first; i < end; i++) {
          want[k * n + j] += under(f, x, i, k) * dy[i * n + j];
        }
      }
    }
    expect_close("patches_weight", out, want, taps * n, 2e-7 * (double)(all + 2));
  }
  free(x), free(dy), free(out), free(scratch), free(want);
}

int main(void) {
  const struct windows forms[] = {
      {5, 7, 3, 5, 7, 1, -1, -1, 3, 3, 1},   {8, 6, 16, 4, 3, 2, -1, -1, 3, 3, 1},
      {4, 4, 40, 4, 4, 1, 0, 0, 1, 1, 1},    {4, 5, 32, 4, 5, 1, 1, 1, 2, 1, -1},
      {3, 3, 5, 6, 6, 1, 3, 2, 2, 4, -1},    {2, 3, 7, 4, 5, 1, -2, -2, 3, 3, 1},
      {16, 16, 6, 16, 16, 1, -1, -1, 3, 3, 1}, {2, 2, 600, 2, 2, 1, -1, -1, 3, 3, 1},
      {3, 3, 4, 3, 3, 1, 0, 0, 0, 2, -1}};
  const long counts[] = {1, 3, 16, 32, 37, 64};
  for (size_t s = 0; s < sizeof forms / sizeof *forms; s++) {
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
      const long n = counts[i];
      for (int way = 0; way < 8; way++) {
        if (way & 1 || n % 16 == 0) {
          forward(&forms[s], 3, n, way & 1, way >> 1 & 1, way & 4 ? 2 : 1);
        }
      }
      weight(&forms[s], 2, n);
    }
  }
}
