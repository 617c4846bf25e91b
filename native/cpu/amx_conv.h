// SPDX-License-Identifier: Apache-2.0
//
// Images under 3 by 3 filters of stride 1, split for the tile unit: by the definition of convolution,
// without copies for the taps.
//
// A tile is 16 pixels beside each other. Where a row of outputs has none or not only whole tiles,
// the pixels of `interleaved` images alternate, and a tap to the right is so many positions further.
// Positions of a row: those of its outputs and a column of taps before and behind.
#ifndef REVERIE_AMX_CONV_H
#define REVERIE_AMX_CONV_H

#include "amx.h"
#include "taps.h"

/** Images [n, h, w, channels], what their filters see, and what comes out: [n, oh, ow, …]. */
struct images {
  const float *at;
  long n, h, w, channels, padding;
  long interleaved, oh, ow;
};

INLINE struct images images(const float *at, long n, long h, long w, long channels, long padding,
                            long interleaved) {
  return (struct images){at, n, h, w, channels, padding, interleaved, h + 2 * padding - 2,
                         w + 2 * padding - 2};
}

/** Positions in a row. */
INLINE long pitch(const struct images *s) { return (s->ow + 2) * s->interleaved; }

/** Whole tiles in a row. */
INLINE long tiles_across(const struct images *s) { return s->ow * s->interleaved / AMX_SIDE; }

/** Row `row` of what filters see of an image, or null where it is outside. */
INLINE const float *seen_row(const struct images *s, long image, long row) {
  const long y = row - s->padding;
  return image < s->n && y >= 0 && y < s->h ? s->at + (image * s->h + y) * s->w * s->channels : 0;
}

/** A pixel of a row, or null outside. */
INLINE const float *seen_pixel(const struct images *s, const float *row, long column) {
  const long x = column - s->padding;
  return row && x >= 0 && x < s->w ? row + x * s->channels : 0;
}

/** A vector of a pixel's channels, from channel c on; zeros past its last and without one. */
INLINE vec channels_of(const struct images *s, const float *pixel, long c) {
  return pixel && c < s->channels ? load_lanes(pixel + c, s->channels - c) : (vec){0};
}

#endif
