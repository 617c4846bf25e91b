// SPDX-License-Identifier: Apache-2.0
//
// How threads share rows: each has `lanes` of them, a power of two up to WARP, or THREADS.
#pragma once
#include "columns.h"

/** What every thread of those that share a row gets of a value of each; all threads take part. */
#define ROW_REDUCTION(name, of_block, of_two)                \
  DEVICE float name(float value, int lanes) {                \
    if (lanes > WARP) return of_block(value);                \
    for (int bits = lanes / 2; bits; bits /= 2) {            \
      value = of_two(value, exchange(value, bits));          \
    }                                                        \
    return value;                                            \
  }
DEVICE float sum_of_two(float a, float b) { return a + b; }
ROW_REDUCTION(row_sum, block_sum, sum_of_two)
ROW_REDUCTION(row_max, block_max, larger)

/** Goes through `all` rows, or pieces of rows, each shared by `lanes` threads. */
#define FOR_EACH_ROW(row, all, lanes)                                            \
  for (long row##_0 = block() * (THREADS / lanes), row = row##_0 + thread() / lanes; \
       row##_0 < all;                                                            \
       row##_0 += blocks() * (THREADS / lanes), row = row##_0 + thread() / lanes)

DEVICE float sum_of_four(float4 x) { return x.x + x.y + (x.z + x.w); }

/** Four elements of a row at a time; those behind the last of them count as `other`. */
DEVICE float4 row_four(const float *x, int left, int aligned, float other) {
  if (left >= 4) return load_four(x, 4, aligned);
  float4 value = four(other);
  value.x = x[0];
  if (left > 1) value.y = x[1];
  if (left > 2) value.z = x[2];
  return value;
}
