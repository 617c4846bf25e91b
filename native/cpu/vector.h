// SPDX-License-Identifier: Apache-2.0
//
// Vectors of WIDTH floats, the same source for every width: 16 (AVX-512) and 8 (AVX2).
//
// Arithmetic is written with the compiler's vector extension (a + b, a * b); here is only what it
// cannot say: loads of a few lanes, square roots, comparisons, sums over lanes and functions.
#ifndef REVERIE_VECTOR_H
#define REVERIE_VECTOR_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#ifndef WIDTH
#error "WIDTH is 16 or 8"
#endif

typedef float vec __attribute__((vector_size(4 * WIDTH)));
typedef int32_t ivec __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t uvec __attribute__((vector_size(4 * WIDTH)));
typedef float vec_anywhere __attribute__((vector_size(4 * WIDTH), aligned(4)));

#if WIDTH == 16
#define LANES ((ivec){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
#else
#define LANES ((ivec){0, 1, 2, 3, 4, 5, 6, 7})
#endif

#define INLINE static inline __attribute__((always_inline))
/** Not to become a part of its caller, with which it would share the registers. */
#define APART static __attribute__((noinline))
/** What Java may call. */
#define EXPORT __attribute__((visibility("default")))

INLINE vec load(const float *from) { return *(const vec_anywhere *)from; }

INLINE void store(float *to, vec value) { *(vec_anywhere *)to = value; }

/** Asks for the line of memory at `from`, which will soon be read; it need not exist. */
INLINE void soon_read(const float *from) { __builtin_prefetch(from, 0, 3); }

/** The same into the second cache, for what is read much later. */
INLINE void prefetch_far(const float *from) { __builtin_prefetch(from, 0, 2); }

/** The same for one that will be written: what is around must be read first. */
INLINE void soon_written(float *to) { __builtin_prefetch(to, 1, 3); }

INLINE vec splat(float value) { return value - (vec){0}; }

/** Two numbers, alternating. */
INLINE vec splat_two(const float *from) {
  typedef double pairs __attribute__((vector_size(4 * WIDTH)));
  double pair;
  memcpy(&pair, from, sizeof pair);
  return (vec)(pair - (pairs){0});
}

INLINE long least(long a, long b) { return a < b ? a : b; }

#if WIDTH == 16

/** 8 numbers from each of WIDTH / 8 places, `distance` apart. */
INLINE vec load_eights(const float *from, long distance) {
  __m512 low = _mm512_castps256_ps512(_mm256_loadu_ps(from));
  return (vec)_mm512_insertf32x8(low, _mm256_loadu_ps(from + distance), 1);
}

INLINE void store_eights(float *to, long distance, vec value) {
  _mm256_storeu_ps(to, _mm512_castps512_ps256((__m512)value));
  _mm256_storeu_ps(to + distance, _mm512_extractf32x8_ps((__m512)value, 1));
}

/** The first `count` elements, and zeros. */
INLINE vec load_some(const float *from, long count) {
  return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
}

INLINE void store_some(float *to, vec value, long count) {
  _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)value);
}

INLINE vec square_root(vec x) { return (vec)_mm512_sqrt_ps((__m512)x); }
// The second operand is returned if one is NaN.
INLINE vec larger(vec a, vec b) { return (vec)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vec smaller(vec a, vec b) { return (vec)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vec fma_(vec a, vec b, vec c) {
  return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
INLINE vec to_float(ivec x) { return (vec)_mm512_cvtepi32_ps((__m512i)x); }
/** Whether a mask has a lane of ones. */
INLINE int any(ivec mask) { return _mm512_movepi32_mask((__m512i)mask) != 0; }

#elif WIDTH == 8

INLINE vec load_eights(const float *from, long distance) {
  (void)distance;
  return load(from);
}

INLINE void store_eights(float *to, long distance, vec value) {
  (void)distance;
  store(to, value);
}

INLINE __m256i first_lanes(long count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/** The first `count` elements, and zeros. */
INLINE vec load_some(const float *from, long count) {
  return (vec)_mm256_maskload_ps(from, first_lanes(count));
}

INLINE void store_some(float *to, vec value, long count) {
  _mm256_maskstore_ps(to, first_lanes(count), (__m256)value);
}

INLINE vec square_root(vec x) { return (vec)_mm256_sqrt_ps((__m256)x); }
// The second operand is returned if one is NaN.
INLINE vec larger(vec a, vec b) { return (vec)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vec smaller(vec a, vec b) { return (vec)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vec fma_(vec a, vec b, vec c) {
  return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
INLINE vec to_float(ivec x) { return (vec)_mm256_cvtepi32_ps((__m256i)x); }
INLINE int any(ivec mask) { return _mm256_movemask_ps((__m256)mask) != 0; }

#endif

/** The first `count` elements, or all of a vector if there are more. */
INLINE vec load_lanes(const float *from, long count) {
  return count >= WIDTH ? load(from) : load_some(from, count);
}

INLINE void store_lanes(float *to, vec value, long count) {
  if (count >= WIDTH) {
    store(to, value);
  } else {
    store_some(to, value, count);
  }
}

/** Sums of neighbouring lanes, in the first half of a vector. */
INLINE vec add_pairs(vec a) {
  const ivec even = LANES * 2 % WIDTH;
  return __builtin_shuffle(a, even) + __builtin_shuffle(a, even + 1);
}

/** Transposes `count` vectors as WIDTH / count square blocks. */
INLINE void transpose_blocks(vec *v, const int count) {
#pragma GCC unroll 4
  for (int s = 1; s < count; s *= 2) {
    // Where a bit of the lane is set, from the second vector.
    const ivec second = ((LANES & s) != 0) & WIDTH;
    const ivec low = (LANES & ~s) + second, high = (LANES | s) + second;
#pragma GCC unroll 16
    for (int i = 0; i < count; i++) {
      if (!(i & s)) {
        vec a = v[i], b = v[i + s];
        v[i] = __builtin_shuffle(a, b, low);
        v[i + s] = __builtin_shuffle(a, b, high);
      }
    }
  }
}

/** Transposes a square of WIDTH vectors. */
INLINE void transpose(vec *v) { transpose_blocks(v, WIDTH); }

/** a where the mask's lanes are all ones, b where they are zero. */
INLINE vec choose(ivec mask, vec a, vec b) { return (vec)((mask & (ivec)a) | (~mask & (ivec)b)); }

#endif
