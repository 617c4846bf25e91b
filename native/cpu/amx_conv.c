// SPDX-License-Identifier: Apache-2.0
//
// Convolution of NHWC images with 3 by 3 filters, stride 1, on the tile unit. The gradient with
// respect to the input is the same, with filters flipped both ways and transposed.
#ifdef AMX
#include "amx_conv.h"

/**
 * Splits the filters to outputs first to end, which are multiples of 32 but at the end.
 *
 * weight [3, 3, cin, cout]; flipped: [3, 3, cout, cin]
 * to: for every 32 outputs 9 times 32 times cin rounded up to 32, times terms, in all
 */
EXPORT void reverie_amx_conv_filters(const float *weight, int flipped, long cin, long cout,
                                     long terms, long first, long end, bf16 *to) {
  const long block = amx_block(cin, (int)terms);
  for (long o = first; o < end; o += AMX_BLOCK) {
    bf16 *at = to + o / AMX_BLOCK * TAPS * TAPS * block;
    for (long tap = 0; tap < TAPS * TAPS; tap++, at += block) {
      const float *from = flipped ? weight + ((TAPS * TAPS - 1 - tap) * cout + o) * cin
                                 : weight + tap * cin * cout + o;
      const long row = flipped ? cin : 1, step = flipped ? 1 : cout;
      if (terms == 3) {
        amx_split(3, from, row, step, cout - o, cin, 1, at);
      } else {
        amx_split(2, from, row, step, cout - o, cin, 1, at);
      }
    }
  }
}

/** Distances in split rows, in positions: term, slice of 32 channels, row. */
struct steps {
  long slices, term, slice, row;
};

INLINE struct steps steps(const int terms, const struct images *s) {
  const long slices = amx_slices(s->channels), term = pitch(s);
  return (struct steps){slices, term, terms * term, slices * terms * term};
}

/** Splits what outputs in rows first to end of a strip see. */
INLINE void split_rows(const int terms, const struct images *s, long strip, long first, long end,
                     vec *to) {
  const struct steps step = steps(terms, s);
  for (long row = first; row < end + 2; row++, to += step.row) {
    for (long i = 0; i < s->interleaved; i++) {
      const float *from = seen_row(s, strip * s->interleaved + i, row);
      for (long column = 0; column < s->ow + 2; column++) {
        const float *pixel = seen_pixel(s, from, column);
        vec *at = to + column * s->interleaved + i;
        for (long c = 0; c < s->channels; c += AMX_DEPTH, at += step.slice) {
          amx_pairs(terms, channels_of(s, pixel, c), channels_of(s, pixel, c + WIDTH), at,
                    step.term);
        }
      }
    }
  }
}

/** What is added to an output; null: nothing. */
struct added {
  const float *bias, *image_bias, *residual;
};

/** The products of all taps and channels, for two tiles of outputs `second` positions apart. */
INLINE void multiply_taps(const int terms, const int down, const int across,
                          const struct images *s, const vec *pixels, long second,
                          const bf16 *filters, float *c, long c_row) {
  const struct steps step = steps(terms, s);
  amx_start(down, across, 0, 0);
  const long block = amx_block(s->channels, terms);
  struct tiles a = {0, 32 * step.term, 32 * second}, b = {0, AMX_TILE, terms * AMX_TILE};
  for (long i = 0; i < TAPS; i++) {
    for (long slice = 0; slice < step.slices; slice++) {
      // Neighbouring taps share most of their pixels, which are near now.
      for (long j = 0; j < TAPS; j++) {
        // One behind: amx_finish takes the last.
        if (b.at) {
          amx_add(terms, down, across, a, b);
        }
        const vec *at = pixels + i * step.row + slice * step.slice + j * s->interleaved;
        a.at = (const bf16 *)at;
        b.at = filters + (i * TAPS + j) * block + slice * 2 * terms * AMX_TILE;
      }
    }
  }
  amx_finish(terms, down, across, a, b, c, c_row);
}

INLINE void any_taps(const int terms, int down, int across, const struct images *s,
                     const vec *pixels, long second, const bf16 *filters, float *c, long c_row) {
  if (down == 2 && across == 2) {
    multiply_taps(terms, 2, 2, s, pixels, second, filters, c, c_row);
  } else if (down == 2) {
    multiply_taps(terms, 2, 1, s, pixels, second, filters, c, c_row);
  } else if (across == 2) {
    multiply_taps(terms, 1, 2, s, pixels, second, filters, c, c_row);
  } else {
    multiply_taps(terms, 1, 1, s, pixels, second, filters, c, c_row);
  }
}

/** Sizes and place of 16 outputs beside each other, `count` channels from o on. */
struct place {
  const struct images *s;
  long strip, row, first, cout, o, count;
};

/** The number of images in a tile that exist. */
INLINE long images_in(const struct place *p) {
  return least(p->s->interleaved, p->s->n - p->strip * p->s->interleaved);
}

/** Where the tile's outputs of its i-th image begin; pixels are cout apart. */
INLINE long outputs_at(const struct place *p, long i) {
  const struct images *s = p->s;
  const long image = p->strip * s->interleaved + i;
  return ((image * s->oh + p->row) * s->ow + p->first / s->interleaved) * p->cout + p->o;
}

/** Writes outputs from a block. */
INLINE void write_tile(const struct place *p, const struct added *added, const float *block,
                       float *y) {
  const long interleaved = p->s->interleaved, columns = AMX_SIDE / interleaved;
  for (long i = 0; i < images_in(p); i++) {
    const long begin = outputs_at(p, i), image = p->strip * interleaved + i;
    for (long j = 0; j < p->count; j += WIDTH) {
      const long lanes = p->count - j;
      vec constant = {0};
      if (added->bias) {
        constant += load_lanes(added->bias + p->o + j, lanes);
      }
      if (added->image_bias) {
        constant += load_lanes(added->image_bias + image * p->cout + p->o + j, lanes);
      }
      for (long column = 0; column < columns; column++) {
        const long at = begin + column * p->cout + j;
        vec value = load(block + (column * interleaved + i) * AMX_BLOCK + j) + constant;
        if (added->residual) {
          value += load_lanes(added->residual + at, lanes);
        }
        store_lanes(y + at, value, lanes);
      }
    }
  }
}

/** One tile of outputs, or two that `second` positions are between. */
INLINE void convolve_tiles(const int terms, const struct place *places, int down,
                           const vec *pixels, long second, const bf16 *filters,
                           const struct added *added, float *y) {
  const struct images *s = places->s;
  const int plain = s->interleaved == 1 && !added->bias && !added->image_bias && !added->residual;
  if (plain && down == 2 && places->count == AMX_BLOCK) {
    multiply_taps(terms, 2, 2, s, pixels, second, filters, y + outputs_at(places, 0),
                  places->cout);
    return;
  }
  float block[AMX_BLOCK * AMX_BLOCK] __attribute__((aligned(64)));
  any_taps(terms, down, places->count > AMX_SIDE ? 2 : 1, s, pixels, second, filters, block,
           AMX_BLOCK);
  for (int i = 0; i < down; i++) {
    write_tile(&places[i], added, block + i * AMX_SIDE * AMX_BLOCK, y);
  }
}

INLINE void convolve(const int terms, const struct images *s, const bf16 *filters,
                     const struct added *added, float *y, long cout, long strip, long first,
                     long end, vec *pixels) {
  const struct steps step = steps(terms, s);
  const long across = tiles_across(s), all = (end - first) * across;
  const long panel = TAPS * TAPS * amx_block(s->channels, terms);
  split_rows(terms, s, strip, first, end, pixels);
  amx_begin();
  for (long o = 0; o < cout; o += AMX_BLOCK, filters += panel) {
    for (long i = 0; i < all; i += 2) {
      const int down = (int)least(2, all - i);
      long at[2] = {0};
      struct place places[2];
      for (int j = 0; j < down; j++) {
        const long row = (i + j) / across, tile = (i + j) % across * AMX_SIDE;
        at[j] = row * step.row + tile;
        places[j] =
            (struct place){s, strip, first + row, tile, cout, o, least(AMX_BLOCK, cout - o)};
      }
      convolve_tiles(terms, places, down, pixels + at[0], at[1] - at[0], filters, added, y);
    }
  }
  amx_end();
}

/**
 * Rows first to end of the outputs of a strip of `interleaved` images:
 * y = x * weight (+ bias) (+ image_bias of each image) (+ residual).
 *
 * x [n, h, w, cin], filters by reverie_amx_conv_filters, bias [cout], image_bias [n, cout],
 * residual and y [n, h + 2 padding - 2, w + 2 padding - 2, cout]; null: nothing is added. interleaved:
 * times the width of y it is a multiple of 16. scratch: (end - first + 2) times (width of y + 2)
 * times interleaved times cin rounded up to 32, times terms
 */
EXPORT void reverie_amx_conv(const float *x, const bf16 *filters, const float *bias,
                             const float *image_bias, const float *residual, float *y, long n,
                             long h, long w, long cin, long cout, long padding, long interleaved,
                             long terms, long strip, long first, long end, bf16 *scratch) {
  const struct images s = images(x, n, h, w, cin, padding, interleaved);
  const struct added added = {bias, image_bias, residual};
  if (terms == 3) {
    convolve(3, &s, filters, &added, y, cout, strip, first, end, (vec *)scratch);
  } else {
    convolve(2, &s, filters, &added, y, cout, strip, first, end, (vec *)scratch);
  }
}
#endif
