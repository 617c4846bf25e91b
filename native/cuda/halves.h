// SPDX-License-Identifier: Apache-2.0
//
// Numbers of 16 bits: bfloat16, the upper half of a float32.
#pragma once
#include "columns.h"

DEVICE unsigned long bf16_bits(float value) {
  return (unsigned)float_to_bits(rounded_to_bf16(value)) >> 16;
}

DEVICE float from_bf16_bits(unsigned long bits) {
  return bits_to_float((int)(unsigned)((bits & 0xffff) << 16));
}

/** Four bfloat16 in a word, the first in the lowest bits. */
DEVICE float4 four_from_bf16(unsigned long x) {
  float4 y = {from_bf16_bits(x), from_bf16_bits(x >> 16), from_bf16_bits(x >> 32),
              from_bf16_bits(x >> 48)};
  return y;
}

DEVICE unsigned long four_to_bf16(float4 x) {
  return bf16_bits(x.x) | bf16_bits(x.y) << 16 | bf16_bits(x.z) << 32 | bf16_bits(x.w) << 48;
}

/** Numbers in memory: bfloat16 if `half`, else float32. */
typedef struct {
  void *at;
  long half;
} Numbers;

DEVICE float number_at(Numbers x, long i) {
  return x.half ? from_bf16_bits(((const unsigned short *)x.at)[i]) : ((const float *)x.at)[i];
}

/** Four of them, which must be aligned. */
DEVICE float4 numbers_at(Numbers x, long i) {
  return x.half ? four_from_bf16(*(const unsigned long *)((const unsigned short *)x.at + i))
                : *(const float4 *)((const float *)x.at + i);
}

/** Where results go: to float32, bfloat16 or both; what is null is left out. */
typedef struct {
  float *wide;
  unsigned short *half;
} Result;

DEVICE void put_result(Result y, long i, float value) {
  if (y.wide) y.wide[i] = value;
  if (y.half) y.half[i] = (unsigned short)bf16_bits(value);
}

/** The first of some columns, at most four. */
DEVICE void put_results(Result y, long i, float4 value, int columns, int aligned) {
  if (y.wide) store_four(y.wide + i, value, columns, aligned);
  if (!y.half) return;
  unsigned short *half = y.half + i;
  if (aligned) {
    *(unsigned long *)half = four_to_bf16(value);
  } else {
    half[0] = (unsigned short)bf16_bits(value.x);
    if (columns > 1) half[1] = (unsigned short)bf16_bits(value.y);
    if (columns > 2) half[2] = (unsigned short)bf16_bits(value.z);
    if (columns > 3) half[3] = (unsigned short)bf16_bits(value.w);
  }
}
