// SPDX-License-Identifier: Apache-2.0
//
// Sums and largest elements of rows and of columns, and what is made of whole rows. In what order
// numbers are added depends on sizes alone, not on addresses.
#include "columns.h"

typedef struct {
  const float *x;
  float *y;
  long rows, count, piece;
  int pieces;
  int lanes; // threads that share a piece of a row: a power of two up to WARP, or THREADS
} RowReduction;

/** Whether four elements can be read at once from here. */
DEVICE int takes_fours(const float *x) { return (size_t)x % 16 == 0; }

/** y[rows, pieces] = each piece of each row of x[rows, count] brought down to one number. */
#define ROWS(name, nothing, of_two, of_block, of_two_fours)                         \
  KERNEL(name, RowReduction) {                                                      \
    long per_block = THREADS / at.lanes, all = at.rows * at.pieces;                 \
    for (long first = block() * per_block; first < all; first += blocks() * per_block) { \
      long unit = first + thread() / at.lanes;                                      \
      int lane = thread() % at.lanes;                                               \
      float4 values = four(nothing);                                                \
      float rest = nothing;                                                         \
      if (unit < all) {                                                             \
        long start = unit % at.pieces * at.piece;                                   \
        long n = at.count - start < at.piece ? at.count - start : at.piece;         \
        const float *x = at.x + unit / at.pieces * at.count + start;                \
        int aligned = takes_fours(x);                                               \
        for (long i = lane; i < n / 4; i += at.lanes) {                             \
          values = of_two_fours(values, load_four(x + 4 * i, 4, aligned));          \
        }                                                                           \
        for (long i = n / 4 * 4 + lane; i < n; i += at.lanes) rest = of_two(rest, x[i]); \
      }                                                                             \
      float value = of_two(of_two(values.x, values.y), of_two(values.z, values.w)); \
      value = of_two(value, rest);                                                  \
      if (at.lanes > WARP) {                                                        \
        value = of_block(value);                                                    \
      } else {                                                                      \
        for (int bits = at.lanes / 2; bits; bits /= 2) {                            \
          value = of_two(value, exchange(value, bits));                             \
        }                                                                           \
      }                                                                             \
      if (lane == 0 && unit < all) at.y[unit] = value;                              \
    }                                                                               \
  }

DEVICE float sum_of_two(float a, float b) { return a + b; }

ROWS(sum_rows, 0, sum_of_two, block_sum, add_fours)
ROWS(max_rows, -INFINITY, larger, block_max, larger_fours)

typedef struct {
  const float *x;
  float *y;
  Columns columns;
} ColumnReduction;

/** y[matrices, pieces, c] = the rows of each piece of x[matrices, rows, c] brought down to one. */
#define COLUMNS(name, nothing, of_two, of_lanes)                                      \
  KERNEL(name, ColumnReduction) {                                                     \
    Place place = place_in(&at.columns);                                              \
    float4 values = four(nothing);                                                    \
    for (long row = place.row; row < place.end; row += at.columns.lanes) {            \
      const float *x = at.x + first_in(&at.columns, &place, row);                     \
      values = of_two(values, load_four(x, place.columns, at.columns.aligned));       \
    }                                                                                 \
    values = of_lanes(&at.columns, &place, values);                                   \
    if (place.lane == 0 && place.columns > 0) {                                       \
      store_four(at.y + place.part * at.columns.c + place.column, values, place.columns, 0); \
    }                                                                                 \
  }

COLUMNS(sum_columns, 0, add_fours, lanes_sum)
COLUMNS(max_columns, -INFINITY, larger_fours, lanes_max)
