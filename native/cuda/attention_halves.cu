// SPDX-License-Identifier: Apache-2.0
//
// Attention by the tensor cores on bfloat16: a warp keeps sixteen rows as factors in its registers,
// where weights go from one product to the next. While a tile of the other rows is in use the next
// one is copied to shared memory.
#include "attention.h"
#include "halves.h"
#include "rows.h"

/** Arrays in registers, for all tilings: words of kept factors, sums, and scores of a thread. */
enum { MAX_KEPT_WORDS = 40, MAX_HALF_SUMS = 80, MAX_HALF_SCORES = 32 };

/** Elements of a line in shared memory: whole factors, and 16 bytes so that neighbours lie in other banks. */
#define HALF_LINE(head) (((head) + 15) / 16 * 16 + 8)

/** Two tiles, of which one is in use. */
#define HALF_TILES(name, head, columns) \
  SHARED __attribute__((aligned(16))) unsigned short name[2 * (columns) * HALF_LINE(head)]

DEVICE Tiling half_tiling(int head, int columns) {
  Tiling t = {head / 4, HALF_LINE(head), THREADS / WARP * 16, columns, 4, 2, columns / 4, head / 4, 1};
  return t;
}

/** Rows of one head of a tensor [b, t, heads, width] of bfloat16; width is a multiple of 8. */
typedef struct {
  const unsigned short *at;
  long stride; // from a row to the next
  int count, width;
} HalfHeads;

DEVICE HalfHeads half_heads(const Attended *at, const float *x, long head, int t, int width,
                            int stride) {
  HalfHeads rows = {
      (const unsigned short *)x + head / at->heads * t * stride + head % at->heads * width,
      stride, t, width};
  return rows;
}

/** Factors of the products over a row. */
DEVICE int steps_of(Tiling t) { return t.line / 16; }

/** Begins to copy rows from `first` on, zeros where there are none. */
DEVICE void begin_tile(unsigned short *lines, HalfHeads x, int first, Tiling t) {
  int pieces = 2 * steps_of(t);
  for (int i = thread(); i < t.columns * pieces; i += THREADS) {
    int row = first + i / pieces, column = i % pieces * 8;
    int there = row < x.count && column < x.width;
    begin_copy(lines + i / pieces * t.line + column, x.at + (there ? row * x.stride + column : 0),
               there);
  }
}

/** Reads this warp's rows, as left factors of multiply_halves. */
DEVICE void keep_halves(unsigned *kept, HalfHeads x, int first, Tiling t) {
  UNROLL
  for (int i = 0; i < 4 * steps_of(t); i++) {
    int row = first + own_row(t, i % 2), column = 16 * (i / 4) + 8 * (i / 2 % 2) + 2 * own_lane(t);
    int inside = row < x.count && column < x.width;
    kept[i] = inside ? *(const unsigned *)(x.at + row * x.stride + column) : 0;
  }
}

/** s += kept rows · lines, for the scores of a warp. */
DEVICE void add_half_scores(float *s, const unsigned *kept, const unsigned short *lines, Tiling t) {
  int lane = thread() % WARP;
  const unsigned short *own = lines + (lane / 16 * 8 + lane % 8) * t.line + lane / 8 % 2 * 8;
  UNROLL
  for (int k = 0; k < steps_of(t); k++) {
    UNROLL
    for (int n = 0; n < t.columns / 16; n++) {
      unsigned b[4];
      load_matrices(b, own + 16 * n * t.line + 16 * k, 0);
      multiply_halves(s + 4 * n, s + t.across + 4 * n, kept + 4 * k, b);
      multiply_halves(s + 4 * n + 2, s + t.across + 4 * n + 2, kept + 4 * k, b + 2);
    }
  }
}

/** sums += weights · lines, where there is a line for each column. */
DEVICE void add_half_weighted(float *sums, const float *weights, const unsigned short *lines,
                              Tiling t) {
  int lane = thread() % WARP;
  const unsigned short *own = lines + (lane / 8 % 2 * 8 + lane % 8) * t.line + lane / 16 * 8;
  UNROLL
  for (int k = 0; k < t.columns / 16; k++) {
    const float *upper = weights + 4 * k, *lower = upper + t.across;
    unsigned a[4] = {two_halves(upper[0], upper[1]), two_halves(lower[0], lower[1]),
                     two_halves(upper[2], upper[3]), two_halves(lower[2], lower[3])};
    UNROLL
    for (int n = 0; n < t.sums / 2; n += 2) {
      unsigned b[4];
      load_matrices(b, own + 16 * k * t.line + 8 * n, 1);
      multiply_halves(sums + 2 * n, sums + t.sums + 2 * n, a, b);
      if (n + 1 < t.sums / 2) {
        multiply_halves(sums + 2 * n + 2, sums + t.sums + 2 * n + 2, a, b + 2);
      }
    }
  }
}

/** Writes sums for rows of one head, as bfloat16 or float32. */
DEVICE void put_half_sums(const Attended *at, float *to, long head, int t_rows, int width, int first,
                          const float *sums, Tiling t) {
  if (!at->half) {
    put_core_sums(heads_of(at, to, head, t_rows, width), first, sums, t);
    return;
  }
  HalfHeads rows = half_heads(at, to, head, t_rows, width, at->heads * width);
  UNROLL
  for (int i = 0; i < 2 * t.sums; i += 2) {
    int row = first + own_row(t, i / t.sums), column = own_column(t, i % t.sums);
    if (row < rows.count && column < width) {
      *(unsigned *)(rows.at + row * rows.stride + column) = two_halves(sums[i], sums[i + 1]);
    }
  }
}

DEVICE void attend_halves(const Attended *at, Tiling t, unsigned short *keys,
                          unsigned short *values) {
  int first = first_row(t, at->tq), tile = t.columns * t.line;
  long head = own_head(t, at->tq), keys_of = head_of_keys(at, head);
  HalfHeads k = half_heads(at, at->k, keys_of, at->tk, at->wide, at->row_k);
  HalfHeads v = half_heads(at, at->v, keys_of, at->tk, at->wide_v, at->row_v);
  float maximum[2] = {LOWEST, LOWEST}, total[2] = {0}, kept[2];
  unsigned queries[MAX_KEPT_WORDS];
  float sums[MAX_HALF_SUMS] = {0};
  begin_tile(keys, k, 0, t);
  begin_tile(values, v, 0, t);
  end_copies();
  keep_halves(queries, half_heads(at, at->q, head, at->tq, at->wide, at->row_q), first, t);
  for (int from = 0, turn = 0; from < at->tk; from += t.columns, turn ^= 1) {
    if (from + t.columns < at->tk) {
      begin_tile(keys + (turn ^ 1) * tile, k, from + t.columns, t);
      begin_tile(values + (turn ^ 1) * tile, v, from + t.columns, t);
    }
    end_copies();
    await_copies();
    barrier();
    float s[MAX_HALF_SCORES] = {0};
    add_half_scores(s, queries, keys + turn * tile, t);
    soften(at, t, from, s, maximum, total, kept);
    multiply_rows(sums, kept, t);
    add_half_weighted(sums, s, values + turn * tile, t);
    barrier();
  }
  normalise(at, t, sums, maximum, total);
  // The same bits, however they are kept.
  UNROLL
  for (int i = 0; i < 2 * t.sums; i++) sums[i] = rounded_to_bf16(sums[i]);
  put_half_sums(at, at->to[0], head, at->tq, at->dv, first, sums, t);
}

/** What a kernel computes: dq; or of keys dk, dv or both. */
enum { DQ = 1, DK = 2, DV = 4 };

/** The gradients of what this block keeps; see sides_of. */
DEVICE void differentiate_halves(const Attended *at, Tiling t, int what, unsigned short *tiles,
                                 unsigned short *tiles_y) {
  int of_keys = what != DQ, own = of_keys ? at->tk : at->tq, others = of_keys ? at->tq : at->tk;
  int first = first_row(t, own), tile = t.columns * t.line;
  long head = own_head(t, own);
  HalfHeads q = half_heads(at, at->q, head, at->tq, at->wide, at->row_q);
  HalfHeads k = half_heads(at, at->k, head, at->tk, at->wide, at->row_k);
  HalfHeads v = half_heads(at, at->v, head, at->tk, at->wide_v, at->row_v);
  HalfHeads dy = half_heads(at, at->dy, head, at->tq, at->wide_v, at->heads * at->wide_v);
  HalfHeads other = of_keys ? q : k, other_y = of_keys ? dy : v;
  unsigned kept[MAX_KEPT_WORDS], kept_y[MAX_KEPT_WORDS];
  float sums[MAX_HALF_SUMS] = {0}, sums_y[MAX_HALF_SUMS] = {0};
  begin_tile(tiles, other, 0, t);
  begin_tile(tiles_y, other_y, 0, t);
  end_copies();
  keep_halves(kept, of_keys ? k : q, first, t);
  if (what != DV) keep_halves(kept_y, of_keys ? v : dy, first, t);
  for (int from = 0, turn = 0; from < others; from += t.columns, turn ^= 1) {
    if (from + t.columns < others) {
      begin_tile(tiles + (turn ^ 1) * tile, other, from + t.columns, t);
      begin_tile(tiles_y + (turn ^ 1) * tile, other_y, from + t.columns, t);
    }
    end_copies();
    await_copies();
    barrier();
    const unsigned short *lines = tiles + turn * tile, *lines_y = tiles_y + turn * tile;
    float p[MAX_HALF_SCORES] = {0}, ds[MAX_HALF_SCORES] = {0};
    add_half_scores(p, kept, lines, t);
    if (what != DV) add_half_scores(ds, kept_y, lines_y, t);
    score_gradients(at, t, of_keys, from, p, ds);
    if (what & DV) add_half_weighted(sums_y, p, lines_y, t);
    if (what != DV) add_half_weighted(sums, ds, lines, t);
    barrier();
  }
  if (what != DV) put_half_sums(at, at->to[0], head, own, at->d, first, sums, t);
  if (what & DV) put_half_sums(at, at->to[1], head, own, at->dv, first, sums_y, t);
}

#define HALVES_FORWARD(head, columns)                                \
  KERNEL(attention_halves_##head, Attended) {                        \
    HALF_TILES(keys, head, columns);                                 \
    HALF_TILES(values, head, columns);                               \
    attend_halves(&at, half_tiling(head, columns), keys, values);    \
  }
#define HALVES_BACKWARD(name, what, head, columns)                            \
  KERNEL(name, Attended) {                                                    \
    HALF_TILES(tiles, head, columns);                                         \
    HALF_TILES(tiles_y, head, columns);                                       \
    differentiate_halves(&at, half_tiling(head, columns), what, tiles, tiles_y); \
  }
#define ATTENTION_OF_HALVES(head, columns)                               \
  HALVES_FORWARD(head, columns)                                          \
  HALVES_BACKWARD(attention_halves_dq_##head, DQ, head, 32)              \
  HALVES_BACKWARD(attention_halves_dk_dv_##head, DK | DV, head, 32)
ATTENTION_OF_HALVES(8, 32)
ATTENTION_OF_HALVES(16, 64)
ATTENTION_OF_HALVES(32, 64)
ATTENTION_OF_HALVES(40, 64)
ATTENTION_OF_HALVES(64, 64)
ATTENTION_OF_HALVES(80, 64)
HALVES_FORWARD(160, 32)
HALVES_BACKWARD(attention_halves_dq_160, DQ, 160, 16)
// Both at once do not fit registers.
HALVES_BACKWARD(attention_halves_dk_160, DK, 160, 16)
HALVES_BACKWARD(attention_halves_dv_160, DV, 160, 16)

/** Σ dy·y of numbers that are rounded: a warp for each row of each head. */
KERNEL(attention_halves_delta, Attended) {
  const unsigned short *all_dy = (const unsigned short *)at.dy;
  Numbers all_y = {(void *)at.y, at.half};
  long rows = (long)at.b * at.tq * at.heads;
  for (long i = (block() * THREADS + thread()) / WARP; i < rows; i += blocks() * (THREADS / WARP)) {
    float sum = 0;
    for (int j = thread() % WARP; j < at.dv; j += WARP) {
      float y = rounded_to_bf16(number_at(all_y, i * at.dv + j));
      sum += y * from_bf16_bits(all_dy[i * at.wide_v + j]);
    }
    sum = warp_sum(sum);
    long head = i % at.heads, row = i / at.heads % at.tq, image = i / at.heads / at.tq;
    if (thread() % WARP == 0) at.to[0][(image * at.heads + head) * at.tq + row] = sum;
  }
}

/** A tensor of rows, as bfloat16 in rows of a multiple of 8 elements. */
typedef struct {
  const float *from;
  unsigned short *to;
  long pieces; // of 8 elements of the result
  int width, wide;
  long fours; // whether four elements of a row can be read at once
} Narrowed;

typedef struct {
  Narrowed tensors[4]; // the last ones may have no pieces
  long pieces;         // of all
} Narrowing;

KERNEL(attention_narrow, Narrowing) {
  FOR_EACH(i, at.pieces) {
    unsigned own = (unsigned)i;
    int which = 0;
    while (own >= at.tensors[which].pieces) own -= (unsigned)at.tensors[which++].pieces;
    const Narrowed *one = &at.tensors[which];
    unsigned across = one->wide / 8;
    int column = (int)(own % across) * 8;
    const float *from = one->from + (long)(own / across) * one->width;
    unsigned long *to = (unsigned long *)(one->to + 8 * (long)own);
    for (int half = 0; half < 2; half++, column += 4) {
      int some = one->width - column;
      to[half] = some <= 0 ? 0 : four_to_bf16(some >= 4 && one->fours
                                                  ? *(const float4 *)(from + column)
                                                  : row_four(from + column, some, 0, 0));
    }
  }
}
