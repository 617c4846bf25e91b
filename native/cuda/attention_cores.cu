// SPDX-License-Identifier: Apache-2.0
//
// Attention by the tensor cores, with factors rounded to TF32. A warp keeps sixteen
// rows as factors in its registers, and weights go from one product to the next without leaving
// theirs: of a tile's columns the thread 4 g + t of the warp has 2 t and 2 t + 1, which are taken
// for t and t + 4 of the next product, on both of its sides.
#include "attention.h"

/** Arrays in registers, for all tilings: kept factors, sums, and scores of a thread. */
enum { MAX_KEPT = 80, MAX_CORE_SUMS = 80, MAX_CORE_SCORES = 32 };

DEVICE Tiling core_tiling(int head, int columns) {
  Tiling t = {head / 4, LINE(head), THREADS / WARP * 16, columns, 4, 2, columns / 4, head / 4, 1};
  return t;
}

/** Reads rows from `first` on into shared memory, as factors. */
DEVICE void load_factors(float4 *lines, Heads x, int first, Tiling t) {
  for (int i = thread(); i < t.columns * t.fours; i += THREADS) {
    int row = i / t.fours, four = i % t.fours;
    float4 value = four_of(x, first + row, 4 * four);
    value.x = rounded_to_tf32(value.x);
    value.y = rounded_to_tf32(value.y);
    value.z = rounded_to_tf32(value.z);
    value.w = rounded_to_tf32(value.w);
    lines[row * t.line + four] = value;
  }
}

/** Reads this warp's rows, as left factors of multiply_tiles. */
DEVICE void keep_factors(float *kept, Heads x, int first, Tiling t) {
  UNROLL
  for (int i = 0; i < t.fours * 2; i++) {
    int row = first + own_row(t, i % 2), column = 4 * (i / 2) + own_lane(t);
    int inside = row < x.count && column < x.width;
    kept[i] = inside ? rounded_to_tf32(x.at[(long)row * x.stride + column]) : 0;
  }
}

/** s += kept rows · lines, for the scores of a warp. */
DEVICE void add_core_scores(float *s, const float *kept, const float4 *lines, Tiling t) {
  int group = thread() % WARP / 4;
  UNROLL
  for (int k = 0; k < t.fours / 2; k++) {
    UNROLL
    for (int n = 0; n < t.columns / 8; n++) {
      const float *line = (const float *)(lines + (8 * n + group) * t.line) + 8 * k + own_lane(t);
      float b[2] = {line[0], line[4]};
      multiply_tiles(s + 2 * n, s + t.across + 2 * n, kept + 4 * k, b);
    }
  }
}

/** sums += weights · lines, where there is a line for each column. */
DEVICE void add_core_weighted(float *sums, const float *weights, const float4 *lines, Tiling t) {
  int group = thread() % WARP / 4;
  UNROLL
  for (int k = 0; k < t.columns / 8; k++) {
    const float *upper = weights + 2 * k, *lower = upper + t.across;
    float a[4] = {rounded_to_tf32(upper[0]), rounded_to_tf32(lower[0]), rounded_to_tf32(upper[1]),
                  rounded_to_tf32(lower[1])};
    const float4 *two = lines + (8 * k + 2 * own_lane(t)) * t.line;
    UNROLL
    for (int n = 0; n < t.fours / 2; n++) {
      float b[2] = {((const float *)two)[8 * n + group],
                    ((const float *)(two + t.line))[8 * n + group]};
      multiply_tiles(sums + 2 * n, sums + t.sums + 2 * n, a, b);
    }
  }
}

DEVICE void attend_by_cores(const Attended *at, Tiling t, float4 *keys, float4 *values) {
  int first = first_row(t, at->tq);
  long head = own_head(t, at->tq);
  long keys_of = head_of_keys(at, head);
  Heads k = heads_of(at, at->k, keys_of, at->tk, at->d);
  Heads v = heads_of(at, at->v, keys_of, at->tk, at->dv);
  float maximum[2] = {LOWEST, LOWEST}, total[2] = {0}, kept[2];
  float queries[MAX_KEPT], sums[MAX_CORE_SUMS] = {0};
  keep_factors(queries, heads_of(at, at->q, head, at->tq, at->d), first, t);
  for (int from = 0; from < at->tk; from += t.columns) {
    barrier();
    load_factors(keys, k, from, t);
    load_factors(values, v, from, t);
    barrier();
    float s[MAX_CORE_SCORES] = {0};
    add_core_scores(s, queries, keys, t);
    soften(at, t, from, s, maximum, total, kept);
    multiply_rows(sums, kept, t);
    add_core_weighted(sums, s, values, t);
  }
  normalise(at, t, sums, maximum, total);
  put_core_sums(heads_of(at, at->to[0], head, at->tq, at->dv), first, sums, t);
}

DEVICE void differentiate_by_cores(const Attended *at, Tiling t, int of_keys, float4 *tile,
                                   float4 *tile_y) {
  Sides sides = sides_of(at, t, of_keys);
  int own = sides.kept.count, first = first_row(t, own);
  long head = own_head(t, own);
  float kept[MAX_KEPT], kept_y[MAX_KEPT];
  float sums[MAX_CORE_SUMS] = {0}, sums_y[MAX_CORE_SUMS] = {0};
  keep_factors(kept, sides.kept, first, t);
  keep_factors(kept_y, sides.kept_y, first, t);
  for (int from = 0; from < sides.other.count; from += t.columns) {
    barrier();
    load_factors(tile, sides.other, from, t);
    load_factors(tile_y, sides.other_y, from, t);
    barrier();
    float p[MAX_CORE_SCORES] = {0}, ds[MAX_CORE_SCORES] = {0};
    add_core_scores(p, kept, tile, t);
    add_core_scores(ds, kept_y, tile_y, t);
    score_gradients(at, t, of_keys, from, p, ds);
    if (of_keys) add_core_weighted(sums_y, p, tile_y, t);
    add_core_weighted(sums, ds, tile, t);
  }
  put_core_sums(heads_of(at, at->to[0], head, own, at->d), first, sums, t);
  if (of_keys) put_core_sums(heads_of(at, at->to[1], head, own, at->dv), first, sums_y, t);
}

#define CORES_FORWARD(head, columns)                                \
  KERNEL(attention_cores_##head, Attended) {                        \
    LINES(keys, columns, head);                                     \
    LINES(values, columns, head);                                   \
    attend_by_cores(&at, core_tiling(head, columns), keys, values); \
  }
#define CORES_BACKWARD(kernel, of_keys, head, columns)                              \
  kernel {                                                                          \
    LINES(tile, columns, head);                                                     \
    LINES(tile_y, columns, head);                                                   \
    differentiate_by_cores(&at, core_tiling(head, columns), of_keys, tile, tile_y); \
  }
#define ATTENTION_BY_CORES(head, columns)                                           \
  CORES_FORWARD(head, columns)                                                      \
  CORES_BACKWARD(KERNEL(attention_cores_dq_##head, Attended), 0, head, 32)          \
  CORES_BACKWARD(KERNEL(attention_cores_dk_dv_##head, Attended), 1, head, 32)
ATTENTION_BY_CORES(8, 64)
CORES_FORWARD(16, 64)
CORES_BACKWARD(KERNEL(attention_cores_dq_16, Attended), 0, 16, 32)
CORES_BACKWARD(KERNEL_OF(2, attention_cores_dk_dv_16, Attended), 1, 16, 32)
ATTENTION_BY_CORES(32, 64)
ATTENTION_BY_CORES(40, 64)
ATTENTION_BY_CORES(64, 64)
ATTENTION_BY_CORES(80, 32)
// The gradients of wider heads do not fit registers: they are left to float32 products.
CORES_FORWARD(160, 32)
