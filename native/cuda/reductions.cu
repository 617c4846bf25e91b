// SPDX-License-Identifier: Apache-2.0
//
// Sums and largest elements of rows and of columns, and what is made of whole rows. In what order
// numbers are added depends on sizes alone, not on addresses.
#include "columns.h"
#include "rows.h"

typedef struct {
  const float *x, *centre; // centre: what is subtracted before squaring; null for nothing
  float *y;
  long rows, count, piece;
  int pieces;
  int lanes; // threads that share a piece of a row: a power of two up to WARP, or THREADS
} RowReduction;

/** Whether four elements can be read at once from here. */
DEVICE int takes_fours(const float *x) { return (size_t)x % 16 == 0; }

DEVICE float4 plain_four(const RowReduction *at, long i) {
  return load_four(at->x + i, 4, takes_fours(at->x + i));
}
DEVICE float plain(const RowReduction *at, long i) { return at->x[i]; }

DEVICE float squared(const RowReduction *at, long i) {
  float d = at->centre ? at->x[i] - at->centre[i] : at->x[i];
  return d * d;
}
DEVICE float4 squared_four(const RowReduction *at, long i) {
  float4 d = plain_four(at, i);
  if (at->centre) d = sub_fours(d, load_four(at->centre + i, 4, takes_fours(at->centre + i)));
  return mul_fours(d, d);
}

/** y[rows, pieces] = each piece of each row of x[rows, count] brought down to one number. */
#define ROWS(name, read, nothing, of_two, of_fours, of_row)                         \
  DEVICE void name(const RowReduction *at) {                                        \
    long all = at->rows * at->pieces;                                               \
    int lane = thread() % at->lanes;                                                \
    FOR_EACH_ROW(unit, all, at->lanes) {                                            \
      float4 values = four(nothing);                                                \
      float rest = nothing;                                                         \
      if (unit < all) {                                                             \
        /* Few rows are cut, and none has pieces beyond an int. */                  \
        long row = at->pieces == 1 ? unit : (unsigned)unit / at->pieces;            \
        long start = (unit - row * at->pieces) * at->piece;                         \
        int n = at->count - start < at->piece ? at->count - start : at->piece;      \
        start += row * at->count;                                                   \
        for (int i = lane; i < n / 4; i += at->lanes) {                             \
          values = of_fours(values, read##_four(at, start + 4L * i));               \
        }                                                                           \
        for (int i = n / 4 * 4 + lane; i < n; i += at->lanes) {                     \
          rest = of_two(rest, read(at, start + i));                                 \
        }                                                                           \
      }                                                                             \
      float value = of_two(of_two(values.x, values.y), of_two(values.z, values.w)); \
      value = of_row(of_two(value, rest), at->lanes);                               \
      if (lane == 0 && unit < all) at->y[unit] = value;                             \
    }                                                                               \
  }

ROWS(sums_of_rows, plain, 0, sum_of_two, add_fours, row_sum)
ROWS(largest_of_rows, plain, -INFINITY, larger, larger_fours, row_max)
ROWS(squares_of_rows, squared, 0, sum_of_two, add_fours, row_sum)

KERNEL(sum_rows, RowReduction) { sums_of_rows(&at); }
KERNEL(max_rows, RowReduction) { largest_of_rows(&at); }
KERNEL(squared_rows, RowReduction) { squares_of_rows(&at); }

typedef struct {
  RowReduction squares; // of one row
  float *y;
} Norm;

/** y = the Euclidean norm of x: the last block adds up what all pieces gave, in their order. */
KERNEL(euclidean_norm, Norm) {
  squares_of_rows(&at.squares);
  if (!is_last_block()) return;
  float sum = 0;
  FOR_EACH_IN_BLOCK(i, at.squares.pieces) sum += at.squares.y[i];
  sum = block_sum(sum);
  if (thread() == 0) *at.y = sqrtf(sum);
}

typedef struct {
  const float *x;
  float *y;
  long apart; // elements from the first result of a matrix to that of the next
  Columns columns;
} ColumnReduction;

/** y[matrices][pieces, c] = the rows of each piece of x[matrices, rows, c] brought down to one. */
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
      long piece = place.part - place.matrix * at.columns.pieces;                     \
      float *y = at.y + place.matrix * at.apart + piece * at.columns.c + place.column; \
      store_four(y, values, place.columns, 0);                                        \
    }                                                                                 \
  }

COLUMNS(sum_columns, 0, add_fours, lanes_sum)
COLUMNS(max_columns, -INFINITY, larger_fours, lanes_max)

typedef struct {
  const float *squares, *sigma; // squares[n, pieces]: parts of the sum of (x - mean)^2
  float *y;
  long n, count;
  int pieces;
} LogProb;

/** The mean over the `count` elements of each sample of log N(x; mean, sigma^2). */
KERNEL(gaussian_log_prob, LogProb) {
  const float half_log_2_pi = 0.91893853320467274f;
  FOR_EACH_ROW(sample, at.n, WARP) {
    float squares = 0;
    if (sample < at.n) {
      for (int i = thread() % WARP; i < at.pieces; i += WARP) {
        squares += at.squares[sample * at.pieces + i];
      }
    }
    squares = warp_sum(squares);
    if (sample < at.n && thread() % WARP == 0) {
      float sigma = at.sigma[sample], mean = squares / at.count;
      at.y[sample] = -0.5f * (mean / (sigma * sigma)) - logf(sigma) - half_log_2_pi;
    }
  }
}

typedef struct {
  const float *x, *dy;
  float *y;
  long rows;
  int count, lanes, aligned; // aligned: whether all rows are
} RowSoftmax;

DEVICE float4 exp_fours(float4 x) {
  float4 y = {expf(x.x), expf(x.y), expf(x.z), expf(x.w)};
  return y;
}

DEVICE float largest_of_four(float4 x) { return larger(larger(x.x, x.y), larger(x.z, x.w)); }

KERNEL(softmax, RowSoftmax) {
  int lane = thread() % at.lanes;
  FOR_EACH_ROW(row, at.rows, at.lanes) {
    const float *x = at.x + row * at.count;
    int count = row < at.rows ? at.count : 0;
    float maximum = -INFINITY, sum = 0;
    for (int i = 4 * lane; i < count; i += 4 * at.lanes) {
      maximum = larger(maximum, largest_of_four(row_four(x + i, count - i, at.aligned, -INFINITY)));
    }
    maximum = row_max(maximum, at.lanes);
    for (int i = 4 * lane; i < count; i += 4 * at.lanes) {
      // What is behind the end of the row adds nothing, even if all of it is infinite.
      float4 e = exp_fours(
          sub_fours(row_four(x + i, count - i, at.aligned, maximum), four(maximum)));
      if (count - i < 4) {
        e.w = 0;
        if (count - i < 3) e.z = 0;
        if (count - i < 2) e.y = 0;
      }
      sum += sum_of_four(e);
    }
    sum = row_sum(sum, at.lanes);
    for (int i = 4 * lane; i < count; i += 4 * at.lanes) {
      float4 e = exp_fours(
          sub_fours(row_four(x + i, count - i, at.aligned, maximum), four(maximum)));
      float4 y = {e.x / sum, e.y / sum, e.z / sum, e.w / sum};
      store_four(at.y + row * at.count + i, y, count - i, at.aligned && count - i >= 4);
    }
  }
}

/** dx, in y, of x = softmax(...): x (dy - sum(dy x)). */
KERNEL(softmax_backward, RowSoftmax) {
  int lane = thread() % at.lanes;
  FOR_EACH_ROW(row, at.rows, at.lanes) {
    const float *x = at.x + row * at.count, *dy = at.dy + row * at.count;
    int count = row < at.rows ? at.count : 0;
    float sum = 0;
    for (int i = 4 * lane; i < count; i += 4 * at.lanes) {
      float4 own = row_four(x + i, count - i, at.aligned, 0);
      sum += sum_of_four(mul_fours(own, row_four(dy + i, count - i, at.aligned, 0)));
    }
    sum = row_sum(sum, at.lanes);
    for (int i = 4 * lane; i < count; i += 4 * at.lanes) {
      float4 slope = sub_fours(row_four(dy + i, count - i, at.aligned, 0), four(sum));
      float4 y = mul_fours(row_four(x + i, count - i, at.aligned, 0), slope);
      store_four(at.y + row * at.count + i, y, count - i, at.aligned && count - i >= 4);
    }
  }
}
