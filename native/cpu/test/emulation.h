// SPDX-License-Identifier: Apache-2.0
//
// For tests: AVX-512 and the tile unit (AMX) on any processor with AVX2, so that the kernels for
// processors that a machine lacks are tested on it. Included before every source of such a build.
//
// Only the intrinsics that kernels use are here; plain arithmetic on vectors of 16 floats the compiler
// splits by itself. A product of tiles has the unit's bits: sums of the even and of the odd products by
// fused multiply-adds in the order of k, then both sums, then C, denormal numbers being zeros (Intel's
// Software Developer's Manual, TDPBF16PS).
#ifndef REVERIE_EMULATION_H
#define REVERIE_EMULATION_H

#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EMULATES static inline __attribute__((always_inline, unused))

typedef union {
  __m512 whole;
  __m512i integers;
  __m256 half[2];
} emulated_vector;

/** Defines a function of vectors by the same of their halves. */
#define EMULATED_HALVES(name, parameters, expression)           \
  EMULATES __m512 emulated_##name parameters {                  \
    emulated_vector result;                                     \
    for (int h = 0; h < 2; h++) { result.half[h] = expression; } \
    return result.whole;                                        \
  }
#define HALF(x) (((emulated_vector){.whole = (x)}).half[h])

EMULATED_HALVES(sqrt, (__m512 a), _mm256_sqrt_ps(HALF(a)))
EMULATED_HALVES(max, (__m512 a, __m512 b), _mm256_max_ps(HALF(a), HALF(b)))
EMULATED_HALVES(min, (__m512 a, __m512 b), _mm256_min_ps(HALF(a), HALF(b)))
EMULATED_HALVES(fmadd, (__m512 a, __m512 b, __m512 c),
                _mm256_fmadd_ps(HALF(a), HALF(b), HALF(c)))
EMULATED_HALVES(cvtepi32, (__m512i a),
                _mm256_cvtepi32_ps((__m256i)HALF((__m512)a)))

/** All ones in the lanes of half h whose bit of a mask is set. */
EMULATES __m256i emulated_lanes(unsigned mask, int h) {
  const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)(mask >> 8 * h)), bits), bits);
}

EMULATED_HALVES(maskz_loadu, (unsigned mask, const float *from),
                _mm256_maskload_ps(from + 8 * h, emulated_lanes(mask, h)))

EMULATES void emulated_mask_storeu(float *to, unsigned mask, __m512 value) {
  for (int h = 0; h < 2; h++) {
    _mm256_maskstore_ps(to + 8 * h, emulated_lanes(mask, h), HALF(value));
  }
}

EMULATES unsigned emulated_movepi32_mask(__m512i a) {
  unsigned mask = 0;
  for (int h = 0; h < 2; h++) {
    mask |= (unsigned)_mm256_movemask_ps(HALF((__m512)a)) << 8 * h;
  }
  return mask;
}

EMULATES __m256 emulated_extract(__m512 a, int h) { return HALF(a); }

EMULATES __m512 emulated_insert(__m512 a, __m256 b, int h) {
  emulated_vector result = {.whole = a};
  result.half[h] = b;
  return result.whole;
}

EMULATES __m512 emulated_cast(__m256 low) {
  return emulated_insert((__m512){0}, low, 0);
}

/** x minus its floor; 0 for infinities. */
EMULATES __m256 emulated_half_fraction(__m256 x) {
  const __m256 infinity = _mm256_set1_ps(__builtin_inff()), sign = _mm256_set1_ps(-0.0f);
  __m256 finite = _mm256_cmp_ps(_mm256_andnot_ps(sign, x), infinity, _CMP_NEQ_UQ);
  return _mm256_and_ps(finite, _mm256_sub_ps(x, _mm256_floor_ps(x)));
}
EMULATED_HALVES(fraction, (__m512 x), emulated_half_fraction(HALF(x)))

/** p times 2 to the floor of x, for p from 1 to 2. */
EMULATES __m256 emulated_half_scalef(__m256 p, __m256 x) {
  const __m256i bias = _mm256_set1_epi32(127);
  __m256 n = _mm256_floor_ps(x);
  n = _mm256_min_ps(_mm256_set1_ps(254), _mm256_max_ps(_mm256_set1_ps(-252), n));
  // Two factors, because 2 to the n alone may be no float; the first product is a normal number.
  __m256i power = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(power, 1);
  __m256i rest = _mm256_sub_epi32(power, half);
  __m256 scaled = _mm256_mul_ps(p, (__m256)_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  scaled = _mm256_mul_ps(scaled, (__m256)_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
  return _mm256_blendv_ps(scaled, x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}
EMULATED_HALVES(scalef, (__m512 p, __m512 x), emulated_half_scalef(HALF(p), HALF(x)))

#undef _mm512_reduce_ps
#undef _mm512_insertf32x8
#undef _mm512_extractf32x8_ps
#define _mm512_sqrt_ps emulated_sqrt
#define _mm512_max_ps emulated_max
#define _mm512_min_ps emulated_min
#define _mm512_fmadd_ps emulated_fmadd
#define _mm512_cvtepi32_ps emulated_cvtepi32
#define _mm512_maskz_loadu_ps emulated_maskz_loadu
#define _mm512_mask_storeu_ps emulated_mask_storeu
#define _mm512_movepi32_mask emulated_movepi32_mask
#define _mm512_castps256_ps512 emulated_cast
#define _mm512_castps512_ps256(a) emulated_extract(a, 0)
#define _mm512_extractf32x8_ps emulated_extract
#define _mm512_insertf32x8 emulated_insert
#define _mm512_reduce_ps(x, floor) emulated_fraction(x)
#define _mm512_scalef_ps emulated_scalef

/** Widths as constants, and vectors of 16 as two of 8, would take the compiler minutes. */
#define HEAD_CASES(d, dv, CALL) CALL(d, dv);

#ifdef AMX

enum { EMULATED_ROWS = 16, EMULATED_ROW_BYTES = 64 };

/** The unit's state in this thread. */
static __thread struct {
  int configured;
  uint32_t tile[8][EMULATED_ROWS][EMULATED_ROW_BYTES / 4];
} emulated_unit __attribute__((unused));

/** Kernels use whole tiles only; another configuration, or none, is a mistake. */
EMULATES void emulated_expect(int condition) {
  if (!condition) {
    abort();
  }
}

EMULATES void emulated_loadconfig(const void *at) {
  const uint8_t *config = at;
  emulated_expect(config[0] == 1);
  for (int t = 0; t < 8; t++) {
    uint16_t bytes;
    memcpy(&bytes, config + 16 + 2 * t, sizeof bytes);
    emulated_expect(bytes == EMULATED_ROW_BYTES && config[48 + t] == EMULATED_ROWS);
  }
  memset(&emulated_unit, 0, sizeof emulated_unit);
  emulated_unit.configured = 1;
}

EMULATES void emulated_loadd(int t, const void *from, long stride) {
  emulated_expect(emulated_unit.configured);
  for (int r = 0; r < EMULATED_ROWS; r++) {
    memcpy(emulated_unit.tile[t][r], (const char *)from + r * stride, EMULATED_ROW_BYTES);
  }
}

EMULATES void emulated_stored(int t, void *to, long stride) {
  emulated_expect(emulated_unit.configured);
  for (int r = 0; r < EMULATED_ROWS; r++) {
    memcpy((char *)to + r * stride, emulated_unit.tile[t][r], EMULATED_ROW_BYTES);
  }
}

EMULATES void emulated_zero(int t) {
  emulated_expect(emulated_unit.configured);
  memset(emulated_unit.tile[t], 0, sizeof emulated_unit.tile[t]);
}

/** No inlining: arithmetic must not move past the change of the denormals' mode. */
static __attribute__((noinline, unused)) void emulated_products(int c, int a, int b) {
  const __m256i upper = _mm256_set1_epi32((int)0xffff0000);
  for (int m = 0; m < EMULATED_ROWS; m++) {
    for (int n = 0; n < EMULATED_ROW_BYTES / 4; n += 8) {
      __m256 even = _mm256_setzero_ps(), odd = even;
      for (int k = 0; k < EMULATED_ROWS; k++) {
        const __m256i left = _mm256_set1_epi32((int)emulated_unit.tile[a][m][k]);
        const __m256i right = _mm256_loadu_si256((const void *)&emulated_unit.tile[b][k][n]);
        even = _mm256_fmadd_ps((__m256)_mm256_slli_epi32(left, 16),
                               (__m256)_mm256_slli_epi32(right, 16), even);
        odd = _mm256_fmadd_ps((__m256)_mm256_and_si256(left, upper),
                              (__m256)_mm256_and_si256(right, upper), odd);
      }
      float *to = (float *)&emulated_unit.tile[c][m][n];
      _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), _mm256_add_ps(even, odd)));
    }
  }
}

EMULATES void emulated_dpbf16ps(int c, int a, int b) {
  const unsigned denormals_are_zeros = 0x8040, mode = _mm_getcsr();
  emulated_expect(emulated_unit.configured);
  _mm_setcsr(mode | denormals_are_zeros);
  emulated_products(c, a, b);
  _mm_setcsr(mode);
}

EMULATES void emulated_release(void) { emulated_unit.configured = 0; }

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#define _tile_loadconfig emulated_loadconfig
#define _tile_loadd emulated_loadd
#define _tile_stored emulated_stored
#define _tile_zero emulated_zero
#define _tile_dpbf16ps emulated_dpbf16ps
#define _tile_release emulated_release

#endif
#endif
