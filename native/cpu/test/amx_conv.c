// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "check.h"
#include "convolution.h"

#ifdef AMX
void reverie_amx_conv_filters(const float *, int, long, long, long, long, long, uint16_t *);
void reverie_amx_conv(const float *, const uint16_t *, const float *, const float *, const float *,
                      float *, long, long, long, long, long, long, long, long, long, long, long,
                      uint16_t *);
void reverie_amx_conv_weight_gradient(const float *, const float *, float *, long, long, long, long,
                                      long, long, long, long, long, long, float *);

typedef struct {
  long n, h, w, cin, cout, padding, interleaved, oh, ow;
} Sizes;

static long up(long count) { return (count + 31) / 32 * 32; }

static long strips(Sizes s) { return (s.n + s.interleaved - 1) / s.interleaved; }

/** flipped: x is the gradient of the output, with cout channels. */
static void convolve(Sizes s, int flipped, long terms, const float *x, const float *weight,
                     const float *bias, const float *image_bias, const float *residual, float *y) {
  long in = flipped ? s.cout : s.cin, out = flipped ? s.cin : s.cout;
  long h = flipped ? s.oh : s.h, w = flipped ? s.ow : s.w, padding = flipped ? 2 - s.padding : s.padding;
  long oh = h + 2 * padding - 2, ow = w + 2 * padding - 2;
  uint16_t *filters = aligned_alloc(64, 2 * 9 * up(in) * up(out) * terms);
  for (long o = 0; o < out; o += 32) {
    reverie_amx_conv_filters(weight, flipped, in, out, terms, o, o + 32 < out ? o + 32 : out,
                             filters);
  }
  for (long strip = 0; strip < strips(s); strip++) {
    for (long first = 0; first < oh; first += 3) {
      long end = first + 3 < oh ? first + 3 : oh;
      uint16_t *scratch =
          aligned_alloc(64, 2 * (end - first + 2) * (ow + 2) * s.interleaved * up(in) * terms);
      reverie_amx_conv(x, filters, bias, image_bias, residual, y, s.n, h, w, in, out, padding,
                       s.interleaved, terms, strip, first, end, scratch);
      free(scratch);
    }
  }
  free(filters);
}

static void one(Sizes s) {
  s.oh = s.h + 2 * s.padding - 2, s.ow = s.w + 2 * s.padding - 2;
  long ins = s.n * s.h * s.w * s.cin, outs = s.n * s.oh * s.ow * s.cout, taps = 9 * s.cin * s.cout;
  float *x = numbers(ins, 1), *weight = numbers(taps, 2), *dy = numbers(outs, 3);
  float *bias = numbers(s.cout, 4), *image_bias = numbers(s.n * s.cout, 5);
  double *y = calloc(outs, 8), *dx = calloc(ins, 8), *dweight = calloc(taps, 8);
  EACH_PRODUCT(s, y[out] += (double)x[in] * weight[tap]);
  EACH_PRODUCT(s, dx[in] += (double)dy[out] * weight[tap]);
  EACH_PRODUCT(s, dweight[tap] += (double)dy[out] * x[in]);
  float *got = floats(outs);
  convolve(s, 0, 3, x, weight, NULL, NULL, NULL, got);
  expect_close("amx_conv", got, y, outs, 3e-6);
  for (long i = 0; i < outs; i++) {
    y[i] += (double)bias[i % s.cout] + dy[i] +
            image_bias[i / (s.oh * s.ow * s.cout) * s.cout + i % s.cout];
    got[i] = NAN;
  }
  convolve(s, 0, 3, x, weight, bias, image_bias, dy, got);
  expect_close("amx_conv with biases and residual", got, y, outs, 3e-6);
  free(got);

  // Whole tiles in rows of the gradient's images too.
  if (s.padding == 1) {
    got = floats(ins);
    convolve(s, 1, 2, dy, weight, NULL, NULL, NULL, got);
    expect_close("amx_conv input gradient", got, dx, ins, 1e-4);
    free(got);
  }

  for (long rows = 2; rows <= s.oh + 1; rows += 2) {
    long bands = strips(s) * ((s.oh + rows - 1) / rows), half = (bands + 1) / 2;
    double *sum = calloc(taps, 8);
    got = floats(taps);
    for (long first = 0; first < bands; first += half) {
      long end = first + half < bands ? first + half : bands;
      float *scratch = aligned_alloc(
          64, 4 * (9 * up(s.cin) * up(s.cout) + (rows + 1) * (s.ow + 2) * s.interleaved * 2 * up(s.cin)
                   + rows * s.ow * s.interleaved * up(s.cout)));
      reverie_amx_conv_weight_gradient(x, dy, got, s.n, s.h, s.w, s.cin, s.cout, s.padding,
                                       s.interleaved, rows, first, end, scratch);
      free(scratch);
      for (long i = 0; i < taps; i++) {
        sum[i] += got[i];
      }
    }
    for (long i = 0; i < taps; i++) {
      got[i] = (float)sum[i];
    }
    expect_close("amx_conv weight gradient", got, dweight, taps, 2e-4);
    free(got), free(sum);
  }
  free(x), free(weight), free(dy), free(bias), free(image_bias), free(y), free(dx), free(dweight);
}

int main(void) {
  const Sizes sizes[] = {
      {1, 16, 16, 32, 32, 1, 1, 0, 0}, {3, 8, 8, 32, 64, 1, 2, 0, 0}, {2, 5, 32, 40, 17, 1, 1, 0, 0},
      {5, 4, 4, 64, 48, 1, 4, 0, 0},   {1, 7, 18, 33, 40, 0, 1, 0, 0}, {2, 3, 6, 35, 70, 2, 2, 0, 0},
  };
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    one(sizes[i]);
  }
}
#else
int main(void) {}
#endif
