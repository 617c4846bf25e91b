// SPDX-License-Identifier: Apache-2.0
//
// Winograd convolution of NHWC images with 3 by 3 filters, stride 1: y = Aᵀ[(GgGᵀ) ⊙ (BᵀxB)]A.
//
// A task takes a range of tiles through all its steps in scratch of the size of the second level
// cache: inputs to t * t points; then, for a panel of output channels at a time, a matrix product
// over the channels for each point, and products to outputs with everything that is added to them.
// The points of the filters take four times the room of the weight. For many tiles they are made
// before; few tiles make them where they use them, which is faster than to read them from far away,
// and divide the outputs among tasks.
//
// The gradient with respect to the input is the same, with filters flipped both ways and
// transposed.
#include "winograd.h"

enum {
  // Products are summed over this many channels at a time, which keeps rounding errors small.
  CHAIN = 32,
  // Input channels, and outputs, whose filters are transformed at a time where none were before.
  DEPTH = CHAIN,
  BREADTH = 32,
  // Inputs whose filters are prefetched before they are transformed.
  AHEAD = 2,
  // Floats of a line of the caches.
  LINE = 16,
  // Floats that the second cache may not hold beside others.
  FAR = 1 << 18,
};

/** Transforms one vector of filters and stores its points. */
INLINE void filter_points(const int t, const vec *taps, float *u, long u_step) {
  vec half[MAX_T][TAPS];
#pragma GCC unroll 3
  for (int j = 0; j < TAPS; j++) {
    vec g[TAPS], column[MAX_T];
#pragma GCC unroll 3
    for (int i = 0; i < TAPS; i++) {
      g[i] = taps[i * TAPS + j];
    }
    filter_transform(t, g, column);
#pragma GCC unroll 6
    for (int i = 0; i < t; i++) {
      half[i][j] = column[i];
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < t; i++) {
    vec row[MAX_T];
    filter_transform(t, half[i], row);
#pragma GCC unroll 6
    for (int j = 0; j < t; j++) {
      store(u + (i * t + j) * u_step, row[j]);
    }
  }
}

/** struct filters of a convolution from cin to cout channels. */
struct filters {
  const float *weight;  // [3, 3, cin, cout], or for the gradient [3, 3, cout, cin]
  int flipped;
  long cin, cout;
};

/** Points of the filters from `depth` inputs, k and on, to `cols` vectors of outputs, o and on. */
INLINE void straight_filters(const int t, const struct filters *f, long k, long depth, long o, int cols,
                             float *u, long u_step) {
  const float *from = f->weight + k * f->cout + o;
  for (long r = 0; r < depth; r++, from += f->cout) {
    // Taps often lie a power of two apart, in one set of a cache: both vectors of a line are read at
    // once, and lines are not prefetched long before.
    for (int j = 0; j < cols; j++, u += WIDTH) {
      vec taps[TAPS * TAPS];
#pragma GCC unroll 9
      for (int i = 0; i < TAPS * TAPS; i++) {
        const float *tap = from + i * f->cin * f->cout + j * WIDTH;
        soon_read(tap + AHEAD * f->cout);
        taps[i] = load_lanes(tap, f->cout - o - j * WIDTH);
      }
      filter_points(t, taps, u, u_step);
    }
  }
}

/** The same for flipped filters, whose inputs are neighbours in memory. */
INLINE void flipped_filters(const int t, const struct filters *f, long k, long depth, long o, int cols,
                            float *u, long u_step) {
  for (long first = 0; first < depth; first += WIDTH) {
    const long some = least(WIDTH, depth - first);
    for (int j = 0; j < cols; j++) {
      vec square[TAPS * TAPS][WIDTH];
      const float *corner = f->weight + (o + j * WIDTH) * f->cin + k + first;
      const long outputs = f->cout - o - j * WIDTH;
      for (int i = 0; i < TAPS * TAPS; i++) {
        const float *from = corner + (TAPS * TAPS - 1 - i) * f->cout * f->cin;
#pragma GCC unroll 16
        for (int r = 0; r < WIDTH; r++) {
          square[i][r] = r < outputs ? load_lanes(from + r * f->cin, some) : (vec){0};
        }
        transpose(square[i]);
      }
      for (long r = 0; r < some; r++) {
        vec taps[TAPS * TAPS];
#pragma GCC unroll 9
        for (int i = 0; i < TAPS * TAPS; i++) {
          taps[i] = square[i][r];
        }
        filter_points(t, taps, u + ((first + r) * cols + j) * WIDTH, u_step);
      }
    }
  }
}

/** Floats between the points of filters from `depth` inputs to a panel of outputs. */
INLINE long filter_step(long depth) { return point_step(depth, MICRO_PANEL); }

/**
 * struct filters from `depth` inputs, k and on, to the panel of outputs from o on: t * t matrices
 * [depth, vectors of the panel].
 */
static void panel_filters(int t, const struct filters *f, long k, long depth, long o, float *u) {
  const int cols = micro_cols(o, f->cout);
#define CALL(T)                                                            \
  if (f->flipped) {                                                         \
    flipped_filters(T, f, k, depth, o, cols, u, filter_step(depth));       \
  } else {                                                                 \
    straight_filters(T, f, k, depth, o, cols, u, filter_step(depth));      \
  }
  TILE_CASES(t, CALL)
#undef CALL
}

/**
 * The points of a weight's filters to outputs first to end, which are multiples of 32 but at the
 * end.
 *
 * weight [3, 3, cin, cout]; flipped: [3, 3, cout, cin], for the gradient with respect to the input.
 * u: t * t * (32 cin + 16) floats for every 32 outputs
 */
EXPORT void reverie_winograd_filters(const float *weight, int flipped, long cin, long cout, int t,
                                     long first, long end, float *u) {
  const struct filters f = {weight, flipped, cin, cout};
  for (long o = first; o < end; o += MICRO_PANEL) {
    panel_filters(t, &f, 0, cin, o, u + o / MICRO_PANEL * t * t * filter_step(cin));
  }
}

/** Floats to prefetch, `step` at a time. */
struct prefetch {
  const float *at;
  long step;
};

INLINE void prefetch(struct prefetch *next) {
  for (long i = 0; i < next->step; i += LINE) {
    prefetch_far(next->at + i);
  }
  next->at += next->step;
}

/** m (+)= v · u for one point of a few tiles, whose vectors of channels are `slice` apart. */
INLINE void multiply_block(const int rows, const int cols, long depth, int more, const float *v,
                           long slice, const float *u, float *m, long m_row, struct prefetch *next) {
  if (next->step > 0) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      soon_written(m + r * m_row);
    }
  }
  for (long from = 0; from < depth; from += CHAIN) {
    prefetch(next);
    vec c[MICRO_ROWS][MICRO_COLS];
    micro_zero(c, rows, cols);
    const long end = least(depth, from + CHAIN);
    for (long k = from; k < end; k += WIDTH) {
      micro_add(c, rows, cols, least(WIDTH, end - k), v + k / WIDTH * slice, WIDTH, 1,
                u + k * cols * WIDTH, cols * WIDTH);
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 2
      for (int j = 0; j < cols; j++) {
        float *to = m + r * m_row + j * WIDTH;
        store(to, more || from ? load(to) + c[r][j] : c[r][j]);
      }
    }
  }
}

/** Points of tiles [points][cin / WIDTH][tiles][WIDTH], and their products [points][tiles][m_row]. */
struct product {
  int points;
  long tiles, cin, m_row;
  const float *v;
  float *m;
  // The outputs that they will become: pixels, cout apart.
  float *y;
  long pixels, cout;
};

INLINE long v_step(const struct product *f) { return point_step(f->tiles, rounded(f->cin)); }

INLINE long m_step(const struct product *f) { return point_step(f->tiles, f->m_row); }

/** Asks for part p of the outputs, because to wait for all of them later takes long. */
INLINE void claim_outputs(const struct product *f, int p, long outputs) {
  for (long i = p * f->pixels / f->points; i < (p + 1) * f->pixels / f->points; i++) {
    for (long o = 0; o < outputs; o += WIDTH) {
      soon_written(f->y + i * f->cout + o);
    }
  }
}

/** `count` floats at `from`, to be prefetched in `times` equal parts. */
INLINE struct prefetch in_parts(const float *from, long count, long times) {
  return (struct prefetch){from, (count / times + LINE - 1) / LINE * LINE};
}

/** m (+)= v · u for all points, from `depth` channels, k and on, to `outputs`. */
static void multiply(const struct product *f, long k, long depth, long outputs, const float *u) {
  const long step = filter_step(depth), panels = (outputs + MICRO_PANEL - 1) / MICRO_PANEL;
  // While a panel is multiplied the next one is prefetched, and a part of the next point's inputs.
  const long filters_far = f->points * panels * step > FAR ? step : 0;
  const long inputs_far = f->points * v_step(f) > FAR ? depth * f->tiles : 0;
  const long blocks = micro_blocks(f->tiles), chains = (depth + CHAIN - 1) / CHAIN;
  for (int p = 0; p < f->points; p++) {
    const float *v = f->v + p * v_step(f) + k * f->tiles;
    float *m = f->m + p * m_step(f);
    if (k == 0) {
      claim_outputs(f, p, outputs);
    }
    struct prefetch inputs = in_parts(v + v_step(f), inputs_far, panels * blocks);
    for (long o = 0; o < outputs; o += MICRO_PANEL) {
      const float *panel = u + (o / MICRO_PANEL * f->points + p) * step;
      const float *next = o + MICRO_PANEL < outputs ? panel + f->points * step : u + (p + 1) * step;
      struct prefetch filters = in_parts(next, filters_far, blocks * chains);
      const int cols = micro_cols(o, outputs);
      for (long from = 0, rows; from < f->tiles; from += rows) {
        rows = micro_few(f->tiles - from);
        prefetch(&inputs);
#define CALL(R, C)                                                                      \
  multiply_block(R, C, depth, k > 0, v + from * WIDTH, f->tiles * WIDTH, panel,         \
                 m + from * f->m_row + o, f->m_row, &filters)
        MICRO_FEW_CASES(rows, cols, CALL)
#undef CALL
      }
    }
  }
}

/** What is added to an output; null: nothing. */
struct added {
  const float *bias, *image_bias, *residual;
};

/** The outputs of a tile, `count` channels from o on, from its points, `step` apart. */
INLINE void tile_outputs(const int t, const struct shape *s, const struct added *added, struct place p, long o,
                         long count, const float *m, long step, float *y) {
  const int rows = (int)least(t - 2, s->oh - p.top), columns = (int)least(t - 2, s->ow - p.left);
  vec half[MAX_T - 2][MAX_T];
#pragma GCC unroll 6
  for (int j = 0; j < t; j++) {
    vec points[MAX_T], q[MAX_T - 2];
#pragma GCC unroll 6
    for (int i = 0; i < t; i++) {
      points[i] = load(m + (i * t + j) * step);
    }
    output_transform(t, points, q);
#pragma GCC unroll 4
    for (int i = 0; i < t - 2; i++) {
      half[i][j] = q[i];
    }
  }
  vec constant = {0};
  if (added->bias) {
    constant = load_lanes(added->bias + o, count);
  }
  if (added->image_bias) {
    constant += load_lanes(added->image_bias + p.image * s->cout + o, count);
  }
#pragma GCC unroll 1
  for (int i = 0; i < rows; i++) {
    vec q[MAX_T - 2];
    output_transform(t, half[i], q);
    long at = ((p.image * s->oh + p.top + i) * s->ow + p.left) * s->cout + o;
#pragma GCC unroll 4
    for (int j = 0; j < t - 2; j++) {
      if (j < columns) {
        vec value = q[j] + constant;
        if (added->residual) {
          value += load_lanes(added->residual + at, count);
        }
        store_lanes(y + at, value, count);
        at += s->cout;
      }
    }
  }
}

/** Outputs o to end of the tiles from `first` on. */
INLINE void all_outputs(const int t, const struct shape *s, const struct added *added, long first, long o,
                        long end, const struct product *f, float *y) {
  struct place at = place(t, s, first);
  for (long tile = 0; tile < f->tiles; tile++, at = after(t, s, at)) {
    for (long c = o; c < end; c += WIDTH) {
      const float *points = f->m + tile * f->m_row + c - o;
      if (c + WIDTH <= end) {
        tile_outputs(t, s, added, at, c, WIDTH, points, m_step(f), y);
      } else {
        tile_outputs(t, s, added, at, c, end - c, points, m_step(f), y);
      }
    }
  }
}

/** About the first output of a tile, as if its row's tiles lay one after another. */
INLINE long first_pixel(int t, const struct shape *s, long tile) {
  const struct place p = place(t, s, tile);
  return (p.image * s->oh + p.top) * s->ow + p.left * (t - 2);
}

/**
 * Outputs o_first, a multiple of 32, to o_end of tiles first to end of y = x * weight (+ bias)
 * (+ image_bias of the tile's image) (+ residual).
 *
 * x [n, h, w, cin], weight as for reverie_winograd_filters, u its points or null, bias [cout],
 * image_bias [n, cout], residual and y [n, h + 2 padding - 2, w + 2 padding - 2, cout]; null:
 * nothing is added. Tiles are numbered row by row, image by image. scratch: t * t *
 * ((end - first) * (cin and cout, each rounded up to 32) + 34 * 32) floats and cin rounded up.
 */
EXPORT void reverie_winograd_tiles(const float *x, const float *weight, int flipped, const float *u,
                                   const float *bias, const float *image_bias,
                                   const float *residual, float *y, long h, long w, long cin,
                                   long cout, long padding, int t, long first, long end,
                                   long o_first, long o_end, float *scratch) {
  const struct shape s = shape(h, w, cin, cout, padding, t);
  const struct filters filters = {weight, flipped, cin, cout};
  const struct added added = {bias, image_bias, residual};
  const long from = first_pixel(t, &s, first), to = first_pixel(t, &s, end);
  struct product f = {t * t, end - first, cin, u ? rounded(o_end - o_first) : BREADTH, scratch, 0, 0, to - from,
               cout};
  f.m = scratch + t * t * v_step(&f);
  const long panels = BREADTH / MICRO_PANEL, panel = t * t * filter_step(DEPTH);
  float *own = f.m + t * t * m_step(&f), *zeros = own + (u ? 0 : panels * panel);
  memset(zeros, 0, sizeof(float) * (size_t)cin);
#define CALL(T)                                                                         \
  all_points(T, 0, &s, x, cin, cin, first, f.tiles, zeros, scratch, v_step(&f),         \
             f.tiles * WIDTH, WIDTH)
  TILE_CASES(t, CALL)
#undef CALL
  for (long o = o_first; o < o_end; o += f.m_row) {
    const long outputs = least(f.m_row, o_end - o);
    f.y = y + from * cout + o;
    if (u) {
      multiply(&f, 0, cin, outputs, u + o / MICRO_PANEL * t * t * filter_step(cin));
    } else {
      for (long k = 0; k < cin; k += DEPTH) {
        const long depth = least(DEPTH, cin - k);
        for (long j = 0; j < outputs; j += MICRO_PANEL) {
          float *to = own + j / MICRO_PANEL * t * t * filter_step(depth);
          panel_filters(t, &filters, k, depth, o + j, to);
        }
        multiply(&f, k, depth, outputs, own);
      }
    }
#define CALL(T) all_outputs(T, &s, &added, first, o, o + outputs, &f, y)
    TILE_CASES(t, CALL)
#undef CALL
  }
}
