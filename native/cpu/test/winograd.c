// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "check.h"
#include "convolution.h"

void reverie_winograd_filters(const float *, int, long, long, int, long, long, float *);
void reverie_winograd_tiles(const float *, const float *, int, const float *, const float *,
                            const float *, const float *, float *, long, long, long, long, long,
                            int, long, long, long, long, float *);
void reverie_winograd_weight_gradient(const float *, const float *, float *, long, long, long, long,
                                      long, int, long, long, long, long, long, long, long,
                                      float *);
void reverie_gemm_sum(const float *, long, long, long, long, float *);

typedef struct {
  long n, h, w, cin, cout, padding, oh, ow;
} Sizes;

static long rounded(long count) { return (count + WIDTH - 1) / WIDTH * WIDTH; }

static long tiles(Sizes s, int t) {
  return s.n * ((s.oh + t - 3) / (t - 2)) * ((s.ow + t - 3) / (t - 2));
}

/**
 * Runs the tiles in tasks; flipped: x is the gradient of the output, with cout channels. before:
 * makes the points of the filters before.
 */
static void convolve(Sizes s, int flipped, int before, int t, const float *x, const float *weight,
                     const float *bias, const float *image_bias, const float *residual, float *y) {
  long in = flipped ? s.cout : s.cin, out = flipped ? s.cin : s.cout;
  float *u = before ? floats(t * t * ((out + 31) / 32) * (32 * in + 16)) : NULL;
  for (long o = 0; before && o < out; o += 32) {
    reverie_winograd_filters(weight, flipped, in, out, t, o, o + 32 < out ? o + 32 : out, u);
  }
  Sizes seen = s;
  if (flipped) {
    seen.oh = s.h, seen.ow = s.w;
  }
  long all = tiles(seen, t), task = 1 + (all * 7 + 3) / 16;
  for (long first = 0; first < all; first += task) {
    long end = first + task < all ? first + task : all;
    long wide = (in + 31) / 32 * 32 + (out + 31) / 32 * 32;
    float *scratch = floats(t * t * ((end - first) * wide + 34 * 32) + rounded(in));
    // Some outputs of all in a task of their own.
    const long some = out > 32 ? 32 : out;
    for (long o = 0; o < out; o = o < some ? some : out) {
      reverie_winograd_tiles(x, weight, flipped, u, bias, image_bias, residual, y,
                             flipped ? s.oh : s.h, flipped ? s.ow : s.w, in, out,
                             flipped ? 2 - s.padding : s.padding, t, first, end, o,
                             o < some ? some : out, scratch);
    }
    free(scratch);
  }
  free(u);
}

static void one(Sizes s, int t) {
  s.oh = s.h + 2 * s.padding - 2, s.ow = s.w + 2 * s.padding - 2;
  long ins = s.n * s.h * s.w * s.cin, outs = s.n * s.oh * s.ow * s.cout, taps = 9 * s.cin * s.cout;
  float *x = numbers(ins, 1), *weight = numbers(taps, 2), *dy = numbers(outs, 3);
  float *bias = numbers(s.cout, 4), *image_bias = numbers(s.n * s.cout, 5);
  double *y = calloc(outs, 8), *dx = calloc(ins, 8), *dweight = calloc(taps, 8);
  EACH_PRODUCT(s, y[out] += (double)x[in] * weight[tap]);
  EACH_PRODUCT(s, dx[in] += (double)dy[out] * weight[tap]);
  EACH_PRODUCT(s, dweight[tap] += (double)dy[out] * x[in]);
  // Rounding grows with the sums; elements are of order one, transforms magnify errors.
  double tolerance = 3e-6 * sqrt(9.0 * s.cin), back = 3e-6 * sqrt(9.0 * s.cout);
  double weights = 3e-6 * sqrt((double)s.n * s.oh * s.ow);

  float *got = floats(outs);
  for (int before = 0; before < 2; before++) {
    convolve(s, 0, before, t, x, weight, NULL, NULL, NULL, got);
    expect_close("winograd", got, y, outs, tolerance);
  }
  for (long i = 0; i < outs; i++) {
    y[i] += (double)bias[i % s.cout] + dy[i] +
            image_bias[i / (s.oh * s.ow * s.cout) * s.cout + i % s.cout];
    got[i] = NAN;
  }
  convolve(s, 0, 1, t, x, weight, bias, image_bias, dy, got);
  expect_close("winograd with biases and residual", got, y, outs, tolerance);
  free(got);

  got = floats(ins);
  for (int before = 0; before < 2; before++) {
    convolve(s, 1, before, t, dy, weight, NULL, NULL, NULL, got);
    expect_close("winograd input gradient", got, dx, ins, back);
  }
  free(got);

  // Blocks of channels, two ranges of tiles.
  long all = tiles(s, t), part = (all + 1) / 2, parts = (all + part - 1) / part, block = 3;
  long cb = s.cin > 20 ? 20 : s.cin, ob = s.cout > WIDTH ? WIDTH : s.cout;
  float *partial = floats(parts * taps);
  for (long p = 0; p < parts; p++) {
    for (long c = 0; c < s.cin; c += cb) {
      for (long o = 0; o < s.cout; o += ob) {
        long cs = s.cin - c < cb ? s.cin - c : cb, os = s.cout - o < ob ? s.cout - o : ob;
        long wide = rounded(cs) + rounded(os);
        float *scratch = floats(t * t * (cs * rounded(os) + block * wide + 3 * WIDTH) + wide);
        reverie_winograd_weight_gradient(x, dy, partial + p * taps, s.h, s.w, s.cin, s.cout,
                                         s.padding, t, p * part,
                                         (p + 1) * part < all ? (p + 1) * part : all, block, c, cs,
                                         o, os, scratch);
        free(scratch);
      }
    }
  }
  got = floats(taps);
  reverie_gemm_sum(partial, parts, taps, 0, taps, got);
  expect_close("winograd weight gradient", got, dweight, taps, weights);
  free(got), free(partial), free(x), free(weight), free(dy), free(bias), free(image_bias);
  free(y), free(dx), free(dweight);
}

int main(void) {
  const Sizes sizes[] = {
      {1, 8, 8, 16, 32, 1, 0, 0},  {2, 7, 5, 19, 37, 1, 0, 0}, {1, 3, 3, 1, 1, 0, 0, 0},
      {3, 1, 2, 5, 9, 1, 0, 0},    {1, 9, 4, 70, 3, 0, 0, 0},  {2, 6, 13, 8, 48, 1, 0, 0},
      {1, 4, 17, 33, 16, 1, 0, 0}, {5, 8, 13, 40, 65, 1, 0, 0},
  };
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    one(sizes[i], 4);
    one(sizes[i], 6);
  }
}
