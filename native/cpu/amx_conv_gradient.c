// SPDX-License-Identifier: Apache-2.0
//
// The gradient of a 3 by 3 convolution with respect to its weight on the tile unit: for each tap
// the product of all gradients, transposed, and of the pixels that the tap sees.
//
// Positions are what is summed over here: a pair is one in a row and the same in the next, so a tile
// has 16 of two rows. Pixels are split for pairs that begin in any row, and taps are distances again.
#ifdef AMX
#include "amx_conv.h"

enum { TERMS = 2 };

INLINE long halves(long channels) { return 2 * amx_slices(channels); }

/** Splits what outputs in `rows` rows from `first` on see: [half slice][term][row][position]. */
static void split_pixels(const struct images *s, long strip, long first, long rows, vec *to) {
  const long term = (rows + 1) * pitch(s);
  for (long row = 0; row <= rows; row++, to += pitch(s)) {
    for (long i = 0; i < s->interleaved; i++) {
      const long image = strip * s->interleaved + i;
      const float *upper = seen_row(s, image, first + row);
      const float *lower = seen_row(s, image, first + row + 1);
      for (long column = 0; column < s->ow + 2; column++) {
        const float *low = seen_pixel(s, upper, column), *high = seen_pixel(s, lower, column);
        vec *at = to + column * s->interleaved + i;
        for (long c = 0; c < s->channels; c += WIDTH, at += TERMS * term) {
          amx_pairs(TERMS, channels_of(s, low, c), channels_of(s, high, c), at, term);
        }
      }
    }
  }
}

/** Splits gradients: tiles [pair of rows][16 positions][half slice][term]. */
static void split_gradients(const struct images *dy, long strip, long first, long rows, vec *to) {
  const long columns = AMX_SIDE / dy->interleaved, step = halves(dy->channels) * TERMS * AMX_SIDE;
  for (long row = first; row < first + rows; row += 2) {
    for (long tile = 0; tile < dy->w; tile += columns, to += step) {
      for (long i = 0; i < dy->interleaved; i++) {
        const long image = strip * dy->interleaved + i;
        const float *upper = seen_row(dy, image, row), *lower = seen_row(dy, image, row + 1);
        for (long column = 0; column < columns; column++) {
          const float *low = seen_pixel(dy, upper, tile + column);
          const float *high = seen_pixel(dy, lower, tile + column);
          vec *at = to + column * dy->interleaved + i;
          for (long c = 0; c < dy->channels; c += WIDTH, at += TERMS * AMX_SIDE) {
            amx_pairs(TERMS, channels_of(dy, low, c), channels_of(dy, high, c), at, AMX_SIDE);
          }
        }
      }
      for (vec *at = to; at < to + step; at += AMX_SIDE) {
        transpose(at);
      }
    }
  }
}

/** sums[tap][output][input], rows rounded up to 32 both ways, (+)= a band of split rows. */
static void add_band(const struct images *s, long cout, long rows, int more, const vec *pixels,
                     const vec *gradients, float *sums) {
  const long across = tiles_across(s), term = (rows + 1) * pitch(s);
  const long inputs = halves(s->channels) * WIDTH, outputs = halves(cout) * WIDTH;
  const long tile = TERMS * AMX_SIDE;
  for (long tap = 0; tap < TAPS * TAPS; tap++) {
    const vec *seen_by = pixels + tap / TAPS * pitch(s) + tap % TAPS * s->interleaved;
    for (long o = 0; o < outputs; o += AMX_BLOCK) {
      for (long c = 0; c < inputs; c += AMX_BLOCK) {
        float *to = sums + (tap * outputs + o) * inputs + c;
        amx_start(2, 2, more ? to : 0, inputs);
        struct tiles a = {(const bf16 *)(gradients + o / WIDTH * tile), AMX_TILE,
                          TERMS * AMX_TILE};
        struct tiles b = {0, 32 * term, 32 * TERMS * term};
        for (long row = 0; row < rows; row += 2) {
          for (long i = 0; i < across; i++) {
            // One behind: amx_finish takes the last.
            if (b.at) {
              amx_add(TERMS, 2, 2, a, b);
              a.at += 32 * halves(cout) * tile;
            }
            const vec *right = seen_by + c / WIDTH * TERMS * term + row * pitch(s);
            b.at = (const bf16 *)(right + i * AMX_SIDE);
          }
        }
        amx_finish(TERMS, 2, 2, a, b, to, inputs);
      }
    }
  }
}

/** to[tap][input][output] = sums[tap][output][input]. */
static void transpose_sums(const float *sums, long cin, long cout, float *to) {
  const long inputs = halves(cin) * WIDTH, outputs = halves(cout) * WIDTH;
  for (long tap = 0; tap < TAPS * TAPS; tap++, sums += outputs * inputs, to += cin * cout) {
    for (long c = 0; c < cin; c += WIDTH) {
      for (long o = 0; o < cout; o += WIDTH) {
        vec square[WIDTH];
        for (long i = 0; i < WIDTH; i++) {
          square[i] = load(sums + (o + i) * inputs + c);
        }
        transpose(square);
        for (long i = 0; i < least(WIDTH, cin - c); i++) {
          store_lanes(to + (c + i) * cout + o, square[i], cout - o);
        }
      }
    }
  }
}

/**
 * The part of dweight [3, 3, cin, cout] that comes from bands first to end, at least one.
 *
 * A band is `rows` rows of outputs, an even number, of a strip of `interleaved` images; bands are
 * numbered from top to bottom, strip by strip. Arguments as for reverie_amx_conv. scratch, with cin
 * and cout rounded up to 32: 9 * cin * cout floats, 2 * (rows + 1) * (width of dy + 2) * interleaved *
 * cin, and rows * width of dy * interleaved * cout
 */
EXPORT void reverie_amx_conv_weight_gradient(const float *x, const float *dy, float *dweight,
                                             long n, long h, long w, long cin, long cout,
                                             long padding, long interleaved, long rows, long first,
                                             long end, float *scratch) {
  const struct images s = images(x, n, h, w, cin, padding, interleaved);
  const struct images d = {dy, n, s.oh, s.ow, cout, 0, interleaved, 0, 0};
  const long bands = (s.oh + rows - 1) / rows;
  float *pixels = scratch + TAPS * TAPS * halves(cin) * halves(cout) * WIDTH * WIDTH;
  float *gradients = pixels + (rows + 1) * pitch(&s) * halves(cin) * TERMS * WIDTH;
  amx_begin();
  for (long band = first; band < end; band++) {
    const long strip = band / bands, top = band % bands * rows;
    const long pairs = (least(s.oh, top + rows) - top + 1) / 2;
    split_pixels(&s, strip, top, 2 * pairs, (vec *)pixels);
    split_gradients(&d, strip, top, 2 * pairs, (vec *)gradients);
    add_band(&s, cout, 2 * pairs, band > first, (vec *)pixels, (vec *)gradients, scratch);
  }
  amx_end();
  transpose_sums(scratch, cin, cout, dweight);
}
#endif
