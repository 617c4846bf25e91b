// SPDX-License-Identifier: Apache-2.0
//
// What completes a product, where it is read: bias and residual.
#pragma once
#include "halves.h"
#include "rows.h"

/** x + (bias + common) + (residual + its bias), for rows of c elements; fewer than 2^32. */
typedef struct {
  Numbers x;
  const float *bias, *common; // either may be null; common only with bias: [c]
  Numbers residual;           // may be of nothing
  const float *residual_bias; // may be null: [c]
  unsigned c, image;          // image: elements that share a row of the bias
  unsigned rows, stride;      // of the bias; it begins anew behind its last row
} Sum;

/** Where the bias of an element is. */
DEVICE const float *bias_at(const Sum *at, unsigned i) {
  unsigned row = at->rows > 1 ? i / at->image % at->rows * at->stride : 0;
  return at->bias + row + i % at->c;
}

DEVICE float sum_at(const Sum *at, unsigned i) {
  float sum = number_at(at->x, i);
  if (at->bias) sum += at->common ? *bias_at(at, i) + at->common[i % at->c] : *bias_at(at, i);
  if (at->residual.at) {
    float residual = number_at(at->residual, i);
    if (at->residual_bias) residual += at->residual_bias[i % at->c];
    sum += residual;
  }
  return sum;
}

/** The first of some elements of a row, at most four. */
DEVICE float4 sums_at(const Sum *at, unsigned i, int columns, int aligned) {
  if (aligned) {
    float4 sum = numbers_at(at->x, i);
    if (at->bias) {
      float4 bias = *(const float4 *)bias_at(at, i);
      if (at->common) bias = add_fours(bias, *(const float4 *)(at->common + i % at->c));
      sum = add_fours(sum, bias);
    }
    if (at->residual.at) {
      float4 residual = numbers_at(at->residual, i);
      if (at->residual_bias) {
        residual = add_fours(residual, *(const float4 *)(at->residual_bias + i % at->c));
      }
      sum = add_fours(sum, residual);
    }
    return sum;
  }
  float4 sum = four(sum_at(at, i));
  if (columns > 1) sum.y = sum_at(at, i + 1);
  if (columns > 2) sum.z = sum_at(at, i + 2);
  if (columns > 3) sum.w = sum_at(at, i + 3);
  return sum;
}

/** Numbers that are there, or are a sum that is to be put there by those that read it first. */
typedef struct {
  Result x; // of numbers that are there float32, of a sum whatever others want of it
  Sum sum;  // of nothing if all are there
} Source;

/** What is at a place, the first time. */
DEVICE float4 first_read(const Source *at, long i, int columns, int aligned) {
  return at->sum.x.at ? sums_at(&at->sum, (unsigned)i, columns, aligned)
                      : load_four(at->x.wide + i, columns, aligned);
}

/** The same of a thread's own, which is kept. */
DEVICE float4 first_own(const Source *at, long i, int columns, int aligned) {
  float4 value = first_read(at, i, columns, aligned);
  if (at->sum.x.at) put_results(at->x, i, value, columns, aligned);
  return value;
}

/** The same again, by the thread that read it first. */
DEVICE float4 read_again(const Source *at, long i, int columns, int aligned) {
  return at->x.wide ? load_four(at->x.wide + i, columns, aligned)
                    : sums_at(&at->sum, (unsigned)i, columns, aligned);
}
