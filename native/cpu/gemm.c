// SPDX-License-Identifier: Apache-2.0
//
// Products of float matrices of any strides. A task is some rows of C, or some part of the sum.
#include "gemm.h"

/** Adds to a tile of sums and writes it. */
INLINE void finish(vec (*sum)[MICRO_COLS], const int rows, const int cols, const float *bias,
                   const float *add, long add_row, float *c, long c_row) {
  if (bias) {
#pragma GCC unroll 2
    for (int j = 0; j < cols; j++) {
      vec b = load(bias + j * WIDTH);
#pragma GCC unroll 16
      for (int r = 0; r < rows; r++) {
        sum[r][j] += b;
      }
    }
  }
  if (add) {
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 2
      for (int j = 0; j < cols; j++) {
        sum[r][j] += load(add + r * add_row + j * WIDTH);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 2
    for (int j = 0; j < cols; j++) {
      store(c + r * c_row + j * WIDTH, sum[r][j]);
    }
  }
}

#define TILE(rows, cols, a_row, a_step)                                        \
  {                                                                          \
    vec sum[MICRO_ROWS][MICRO_COLS];                                         \
    micro_zero(sum, rows, cols);                                             \
    micro_add(sum, rows, cols, g->k, a, a_row, a_step, b, g->b_step);           \
    finish(sum, rows, cols, bias, add, add_row, c, c_row);                     \
  }

/** A tile of C whose rows of A lie one after another. */
static void tile_rows(const struct gemm *g, long rows, int cols, const float *a, const float *b,
                      const float *bias, const float *add, long add_row, float *c, long c_row) {
  const long a_row = g->a_row;
#define CALL(r, j) TILE(r, j, a_row, 1)
  MICRO_CASES(rows, cols, CALL)
#undef CALL
}

/** A tile of C whose rows of A are neighbours in memory: A transposed. */
static void tile_columns(const struct gemm *g, long rows, int cols, const float *a,
                         const float *b, const float *bias, const float *add, long add_row,
                         float *c, long c_row) {
  const long a_step = g->a_step;
#define CALL(r, j) TILE(r, j, 1, a_step)
  MICRO_CASES(rows, cols, CALL)
#undef CALL
}

/** From whole vectors in `spare` to the columns of C that exist. */
static void finish_edge(const struct gemm *g, const float *spare, long row, long rows,
                        long column) {
  for (long from = column; from < g->n; from += WIDTH) {
    const long count = least(WIDTH, g->n - from);
    vec bias = g->bias ? load_lanes(g->bias + from, count) : (vec){0};
    for (long r = 0; r < rows; r++) {
      vec sum = load(spare + r * MICRO_PANEL + from - column) + bias;
      if (g->add) {
        sum += load_lanes(g->add + (row + r) * g->add_row + from, count);
      }
      store_lanes(g->c + (row + r) * g->c_row + from, sum, count);
    }
  }
}

/** Some columns of all rows. */
static void gemm_columns(const struct gemm *g, long first, long end, float *spare) {
  const long blocks = micro_blocks(g->m);
  for (long block = 0; block < blocks; block++) {
    const long row = micro_first(block, blocks, g->m);
    const long rows = micro_first(block + 1, blocks, g->m) - row;
    const float *a = g->a + row * g->a_row;
    for (long column = first; column < end; column += MICRO_PANEL) {
      const int cols = micro_cols(column, g->n);
      const float *b = g->b + column / MICRO_PANEL * g->b_panel;
      const int whole = column + cols * WIDTH <= g->n;
      const float *bias = whole && g->bias ? g->bias + column : 0;
      const float *add = whole && g->add ? g->add + row * g->add_row + column : 0;
      float *c = whole ? g->c + row * g->c_row + column : spare;
      const long c_row = whole ? g->c_row : MICRO_PANEL;
      if (g->a_step == 1) {
        tile_rows(g, rows, cols, a, b, bias, add, g->add_row, c, c_row);
      } else {
        tile_columns(g, rows, cols, a, b, bias, add, g->add_row, c, c_row);
      }
      if (!whole) {
        finish_edge(g, spare, row, rows, column);
      }
    }
  }
}

void gemm_block(const struct gemm *g, float *spare) {
  // All rows take these columns of B from the second cache before the next come.
  const long panels = GEMM_NEAR / (MICRO_PANEL * (g->k > 0 ? g->k : 1));
  const long some = (panels > 0 ? panels : 1) * MICRO_PANEL;
  for (long first = 0; first < g->n; first += some) {
    gemm_columns(g, first, least(first + some, g->n), spare);
  }
}

void gemm_deep(const struct gemm *g, float *spare) {
  struct gemm part = *g;
  for (long p = 0; p == 0 || p < g->k; p += GEMM_DEPTH) {
    part.a = g->a + p * g->a_step;
    part.b = g->b + p * g->b_step;
    part.k = least(GEMM_DEPTH, g->k - p);
    gemm_block(&part, spare);
    part.bias = 0;
    part.add = g->c;
    part.add_row = g->c_row;
  }
}

/** `count` numbers, `step` apart, and zeros. */
static vec load_apart(const float *from, long step, long count) {
  vec all = {0};
  for (long i = 0; i < count; i++) {
    all[i] = from[i * step];
  }
  return all;
}

/** One panel of B, of any strides, columns past n as zeros. */
static void pack_panel(const float *b, long b_row, long b_column, long k, long columns, float *to) {
  if (b_column == 1) {
    for (long p = 0; p < k; p++) {
      for (long j = 0; j < MICRO_PANEL; j += WIDTH) {
        const long count = columns - j;
        store(to + p * MICRO_PANEL + j,
              count > 0 ? load_lanes(b + p * b_row + j, least(WIDTH, count)) : (vec){0});
      }
    }
    return;
  }
  for (long p = 0; p < k; p += WIDTH) {
    const long steps = least(WIDTH, k - p);
    for (long j = 0; j < MICRO_PANEL; j += WIDTH) {
      vec block[WIDTH];
#pragma GCC unroll 1
      for (long i = 0; i < WIDTH; i++) {
        const float *from = b + p * b_row + (j + i) * b_column;
        block[i] = j + i >= columns ? (vec){0}
                   : b_row == 1      ? load_lanes(from, steps)
                                    : load_apart(from, b_row, steps);
      }
      transpose(block);
      for (long i = 0; i < steps; i++) {
        store(to + (p + i) * MICRO_PANEL + j, block[i]);
      }
    }
  }
}

EXPORT void reverie_gemm_pack(const float *b, long b_row, long b_column, long k, long n, long row,
                              long k_all, long first, long end, float *to) {
  for (long j = first; j < least(end, n); j += MICRO_PANEL) {
    pack_panel(b + j * b_column, b_row, b_column, k, least(MICRO_PANEL, n - j),
               to + j * k_all + row * MICRO_PANEL);
  }
}

/** Copies a block of A so that its rows, or its columns, lie close together. */
static void pack_left(const float *a, long a_row, long a_step, long m, long k, float *to, long pitch) {
  if (a_row == 1) {
    for (long p = 0; p < k; p++) {
      for (long r = 0; r < m; r += WIDTH) {
        store(to + p * pitch + r, load_lanes(a + p * a_step + r, least(WIDTH, m - r)));
      }
    }
    return;
  }
  for (long r = 0; r < m; r++) {
    if (a_step == 1) {
      for (long p = 0; p < k; p += WIDTH) {
        store(to + r * pitch + p, load_lanes(a + r * a_row + p, least(WIDTH, k - p)));
      }
    } else {
      for (long p = 0; p < k; p++) {
        to[r * pitch + p] = a[r * a_row + p * a_step];
      }
    }
  }
}

/**
 * C[m, n] = A·B (+ bias[n]) (+ add[m, n], with C's strides).
 *
 * b_column: -1 if b has been packed by reverie_gemm_pack
 * scratch: (GEMM_DEPTH + 32) * (m + n + 64) floats
 */
EXPORT void reverie_gemm(const float *a, long a_row, long a_step, const float *b, long b_row,
                         long b_column, float *c, long c_row, long m, long n, long k,
                         const float *bias, const float *add, float *scratch) {
  float *right = scratch + GEMM_SPARE;
  float *left = right + GEMM_DEPTH * gemm_padded(n);
  // Many rows a page apart would fall into the same few sets of the cache.
  const int left_in_place = a_step == 1 ? a_row % 1024 != 0 : a_row == 1 && a_step <= 256;
  const int right_in_place = b_column == 1 && gemm_in_place(b_row, n);
  // Columns of A take a line of the cache for every step.
  const long pass = a_step == 1 ? GEMM_DEPTH : GEMM_DEPTH / 2;
  for (long p = 0; p == 0 || p < k; p += pass) {
    const long depth = least(pass, k - p);
    struct gemm g = {a + p * a_step, a_row, a_step, 0, 0,    0,
                     c,             c_row, m,     n, depth, p == 0 ? bias : 0,
                     p == 0 ? add : c, c_row};
    if (b_column < 0) {
      g.b = b + p * MICRO_PANEL;
      g.b_panel = k * MICRO_PANEL;
      g.b_step = MICRO_PANEL;
    } else if (right_in_place) {
      g.b = b + p * b_row;
      g.b_panel = MICRO_PANEL;
      g.b_step = b_row;
    } else {
      reverie_gemm_pack(b + p * b_row, b_row, b_column, depth, n, 0, depth, 0, n, right);
      g.b = right;
      g.b_panel = depth * MICRO_PANEL;
      g.b_step = MICRO_PANEL;
    }
    if (!left_in_place) {
      const int columns = a_row == 1 && a_step != 1;
      const long pitch = ((columns ? m : depth) + WIDTH - 1) / WIDTH * WIDTH + 16;
      pack_left(g.a, a_row, a_step, m, depth, left, pitch);
      g.a = left;
      g.a_row = columns ? 1 : pitch;
      g.a_step = columns ? pitch : 1;
    }
    gemm_block(&g, scratch);
  }
}

/** to[i] = the sum of `count` parts of `size` floats each, for i from `first` to `end`. */
EXPORT void reverie_gemm_sum(const float *parts, long count, long size, long first, long end,
                             float *to) {
  for (long i = first; i < end; i += WIDTH) {
    const long lanes = least(WIDTH, end - i);
    vec sum = load_lanes(parts + i, lanes);
    for (long part = 1; part < count; part++) {
      sum += load_lanes(parts + part * size + i, lanes);
    }
    store_lanes(to + i, sum, lanes);
  }
}

/** Columns `first` to `end` of a matrix become rows of `to`. */
EXPORT void reverie_transpose(const float *from, long rows, long columns, long first, long end,
                         float *to) {
  for (long j = first; j < end; j += WIDTH) {
    for (long r = 0; r < rows; r += WIDTH) {
      vec block[WIDTH];
      for (long i = 0; i < WIDTH; i++) {
        block[i] = r + i < rows ? load_lanes(from + (r + i) * columns + j, end - j) : (vec){0};
      }
      transpose(block);
      for (long i = 0; i < least(WIDTH, end - j); i++) {
        store_lanes(to + (j + i) * rows + r, block[i], rows - r);
      }
    }
  }
}
