// SPDX-License-Identifier: Apache-2.0
//
// Convolutions as products: the pixels under a window, one window a row, times the weights. Windows
// are copied for a few rows of the result at a time, so that they never leave the cache.
#include "gemm.h"

/** Where windows lie on images [h, w, channels]. Java writes this, field by field. */
struct windows {
  long h, w, channels;
  long rows, cols;    // windows in an image
  long stride;        // pixels between neighbouring windows
  long top, left;     // the pixel under the first tap of the first window
  long ytaps, xtaps;  // taps
  long step;          // pixels between neighbouring taps: 1, or -1 for gradients
};

/** Floats of windows that are copied at a time; they stay in the second-level cache. */
#define PATCHES (1 << 17)

INLINE long taps(const struct windows *f) { return f->ytaps * f->xtaps * f->channels; }

/** Floats between two copied windows: rows of A must not fall into the same sets of the cache. */
INLINE long pitch(const struct windows *f) { return (taps(f) + 15) / 16 * 16 + 16; }

INLINE void copy(const float *from, long count, float *to) {
  for (long i = 0; i < count; i += WIDTH) {
    store_lanes(to + i, load_lanes(from + i, count - i), count - i);
  }
}

INLINE void zero(long count, float *to) {
  for (long i = 0; i < count; i += WIDTH) {
    store_lanes(to + i, (vec){0}, count - i);
  }
}

/** One row of taps; zeros outside the image. */
INLINE void row_of_taps(const struct windows *f, const float *row, long x, float *to) {
  const long c = f->channels;
  if (f->step == 1) {
    // Neighbouring taps are neighbours in memory.
    const long before = x < 0 ? least(-x, f->xtaps) : 0;
    const long inside = least(f->xtaps, f->w - x) - before;
    const long known = inside > 0 ? inside : 0;
    zero(before * c, to);
    copy(row + (x + before) * c, known * c, to + before * c);
    zero((f->xtaps - before - known) * c, to + (before + known) * c);
    return;
  }
  for (long j = 0; j < f->xtaps; j++, x--) {
    if (x >= 0 && x < f->w) {
      copy(row + x * c, c, to + j * c);
    } else {
      zero(c, to + j * c);
    }
  }
}

/** Copies windows `first` to `end`, counted through all images. */
static void gather(const struct windows *f, const float *images, long first, long end, float *to) {
  const long width = f->xtaps * f->channels;
  for (long i = first; i < end; i++, to += pitch(f)) {
    const long x = i % f->cols * f->stride + f->left;
    const long top = i / f->cols % f->rows * f->stride + f->top;
    const float *image = images + i / (f->cols * f->rows) * f->h * f->w * f->channels;
    for (long a = 0; a < f->ytaps; a++) {
      const long y = top + a * f->step;
      if (y >= 0 && y < f->h) {
        row_of_taps(f, image + y * f->w * f->channels, x, to + a * width);
      } else {
        zero(width, to + a * width);
      }
    }
  }
}

/**
 * Windows times weights (+ bias) (+ residual), for windows `first` to `end`.
 *
 * weights: [ytaps * xtaps * channels, n], packed by reverie_gemm_pack or as they are
 * out, residual: the window in row y and column x of an image has its n results at
 *   image * out_image + y * out_row + x * out_pixel
 * bias: n numbers, for image i at i * bias_image
 * scratch: 1 << 18 floats and 16 * (taps + 32)
 */
EXPORT void reverie_implicit_gemm(const struct windows *f, const float *images, const float *weights,
                            int packed, long n, float *out, long out_image, long out_row,
                            long out_pixel, const float *bias, long bias_image,
                            const float *residual, long first, long end, float *scratch) {
  float *patches = scratch + GEMM_SPARE;
  const long fitting = PATCHES / pitch(f) / MICRO_ROWS;
  const long block = least(6, fitting < 1 ? 1 : fitting) * MICRO_ROWS;
  const int rows_follow = out_row == f->cols * out_pixel;
  const int images_follow = rows_follow && out_image == f->rows * out_row && bias_image == 0;
  for (long i = first; i < end;) {
    const long run = images_follow ? end : rows_follow ? f->rows * f->cols : f->cols;
    const long to = least(least(end, i + block), (i / run + 1) * run);
    gather(f, images, i, to, patches);
    const long image = i / (f->rows * f->cols);
    const long at = image * out_image + i / f->cols % f->rows * out_row + i % f->cols * out_pixel;
    struct gemm g = {.a = patches,
                     .a_row = pitch(f),
                     .a_step = 1,
                     .b = weights,
                     .b_panel = packed ? taps(f) * MICRO_PANEL : MICRO_PANEL,
                     .b_step = packed ? MICRO_PANEL : n,
                     .c = out + at,
                     .c_row = out_pixel,
                     .m = to - i,
                     .n = n,
                     .k = taps(f),
                     .bias = bias ? bias + image * bias_image : 0,
                     .add = residual ? residual + at : 0,
                     .add_row = out_pixel};
    gemm_deep(&g, scratch);
    i = to;
  }
}

/**
 * out[taps, n]: the sum over windows `first` to `end` of what lies under a tap times dy[windows, n].
 *
 * scratch: 1 << 18 floats, 16 * (taps + 32) and 256 * (n + 32)
 */
EXPORT void reverie_implicit_gemm_weight(const struct windows *f, const float *images, const float *dy,
                                   long n, float *out, long first, long end, float *scratch) {
  float *panels = scratch + GEMM_SPARE, *patches = panels + 256 * gemm_padded(n);
  const long fitting = PATCHES / pitch(f);
  const long block = least(256, fitting < 16 ? 16 : fitting);
  for (long i = first; i == first || i < end; i += block) {
    const long count = least(block, end - i);
    const float *right = dy + i * n;
    const int in_place = gemm_in_place(n, n);
    gather(f, images, i, i + count, patches);
    if (!in_place) {
      reverie_gemm_pack(right, n, 1, count, n, 0, count, 0, n, panels);
    }
    struct gemm g = {.a = patches,
                     .a_row = 1,
                     .a_step = pitch(f),
                     .b = in_place ? right : panels,
                     .b_panel = in_place ? MICRO_PANEL : count * MICRO_PANEL,
                     .b_step = in_place ? n : MICRO_PANEL,
                     .c = out,
                     .c_row = n,
                     .m = taps(f),
                     .n = n,
                     .k = count,
                     .add = i == first ? 0 : out,
                     .add_row = n};
    gemm_block(&g, scratch);
  }
}
