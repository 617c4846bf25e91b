// SPDX-License-Identifier: Apache-2.0
//
// Normalisation over rows (Ba et al. 2016), and its gradient.
#include "sums.h"

typedef struct {
  Source x;
  const float *gamma, *beta;
  Result y;
  float *mean, *rstd;
  long rows;
  int c, lanes, aligned; // aligned: whether all rows are
  float epsilon;
} LayerNormed;

/** `what` of four elements of a row, `other` for those behind the last. */
#define OF_ROW(what, at, i, left, aligned, other)                                    \
  ((left) >= 4 ? what(at, i, 4, aligned) : padded(what(at, i, left, 0), left, other))

DEVICE float4 padded(float4 value, int some, float other) {
  if (some < 2) value.y = other;
  if (some < 3) value.z = other;
  value.w = other;
  return value;
}

KERNEL_OF(6, layer_norm, LayerNormed) {
  int lane = thread() % at.lanes;
  FOR_EACH_ROW(row, at.rows, at.lanes) {
    long start = row * at.c;
    int c = row < at.rows ? at.c : 0;
    float first = c ? first_read(&at.x, start, 1, 0).x : 0, sum = 0, squares = 0;
    for (int i = 4 * lane; i < c; i += 4 * at.lanes) {
      float4 x = OF_ROW(first_own, &at.x, start + i, c - i, at.aligned, first);
      sum += sum_of_four(sub_fours(x, four(first)));
    }
    float mean = first + row_sum(sum, at.lanes) / at.c;
    for (int i = 4 * lane; i < c; i += 4 * at.lanes) {
      float4 d = sub_fours(OF_ROW(read_again, &at.x, start + i, c - i, at.aligned, mean), four(mean));
      squares += sum_of_four(mul_fours(d, d));
    }
    float rstd = 1 / sqrtf(row_sum(squares, at.lanes) / at.c + at.epsilon);
    for (int i = 4 * lane; i < c; i += 4 * at.lanes) {
      float4 d = sub_fours(OF_ROW(read_again, &at.x, start + i, c - i, at.aligned, 0), four(mean));
      float4 y = mul_fours(mul_fours(d, four(rstd)), row_four(at.gamma + i, c - i, at.aligned, 0));
      y = add_fours(y, row_four(at.beta + i, c - i, at.aligned, 0));
      put_results(at.y, start + i, y, c - i, at.aligned && c - i >= 4);
    }
    if (lane == 0 && row < at.rows) {
      at.mean[row] = mean;
      at.rstd[row] = rstd;
    }
  }
}

typedef struct {
  const float *x, *gamma, *mean, *rstd, *dy;
  Result dx;
  long rows;
  int c, lanes, aligned; // aligned: whether all rows are
} LayerGradient;

/** dx = rstd (g - mean(g) - x^ mean(g x^)), with g = dy gamma. */
KERNEL(layer_norm_gradient, LayerGradient) {
  int lane = thread() % at.lanes;
  FOR_EACH_ROW(row, at.rows, at.lanes) {
    const float *x = at.x + row * at.c, *dy = at.dy + row * at.c;
    int c = row < at.rows ? at.c : 0;
    float mean = c ? at.mean[row] : 0, rstd = c ? at.rstd[row] : 0, sum = 0, product = 0;
    for (int i = 4 * lane; i < c; i += 4 * at.lanes) {
      float4 gamma = row_four(at.gamma + i, c - i, at.aligned, 0);
      float4 g = mul_fours(row_four(dy + i, c - i, at.aligned, 0), gamma);
      float4 d = sub_fours(row_four(x + i, c - i, at.aligned, mean), four(mean));
      sum += sum_of_four(g);
      product += sum_of_four(mul_fours(g, mul_fours(d, four(rstd))));
    }
    sum = row_sum(sum, at.lanes) / at.c;
    product = row_sum(product, at.lanes) / at.c;
    for (int i = 4 * lane; i < c; i += 4 * at.lanes) {
      float4 gamma = row_four(at.gamma + i, c - i, at.aligned, 0);
      float4 g = mul_fours(row_four(dy + i, c - i, at.aligned, 0), gamma);
      float4 d = sub_fours(row_four(x + i, c - i, at.aligned, mean), four(mean));
      float4 normal = mul_fours(d, four(rstd));
      float4 slope = sub_fours(sub_fours(g, four(sum)), mul_fours(normal, four(product)));
      float4 dx = mul_fours(four(rstd), slope);
      put_results(at.dx, row * at.c + i, dx, c - i, at.aligned && c - i >= 4);
    }
  }
}

typedef struct {
  const float *x, *mean, *rstd, *dy;
  float *sums, *products; // [pieces, c]
  Columns columns;
} LayerSums;

/** Sums of dy and of dy x^ down each column of each piece. */
KERNEL(layer_norm_gradient_sums, LayerSums) {
  const Columns *all = &at.columns;
  Place place = place_in(all);
  float4 sum = four(0), product = sum;
  for (long row = place.row; row < place.end; row += all->lanes) {
    long from = first_in(all, &place, row);
    float4 x = load_four(at.x + from, place.columns, all->aligned);
    float4 dy = load_four(at.dy + from, place.columns, all->aligned);
    float4 normal = mul_fours(sub_fours(x, four(at.mean[row])), four(at.rstd[row]));
    sum = add_fours(sum, dy);
    product = add_fours(product, mul_fours(dy, normal));
  }
  sum = lanes_sum(all, &place, sum);
  product = lanes_sum(all, &place, product);
  if (place.lane > 0 || place.columns <= 0) return;
  long to = place.part * all->c + place.column;
  store_four(at.sums + to, sum, place.columns, 0);
  store_four(at.products + to, product, place.columns, 0);
}
