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
