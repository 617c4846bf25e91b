// SPDX-License-Identifier: Apache-2.0
//
// The language of the kernels, common to CUDA and to C, so that what runs on a device is tested on
// any machine. A kernel has one parameter, a struct:
//
//   typedef struct { const float *x; float *y; long n; } Doubled;
//
//   KERNEL(doubled, Doubled) {
//     FOR_EACH(i, at.n) at.y[i] = 2 * at.x[i];
//   }
//
// Blocks are THREADS long. No floating-point atomics: results are the same bits every time.
#pragma once

#define THREADS 256
#define WARP 32

#ifdef __CUDACC__

#define KERNEL(name, Arguments) \
  extern "C" __global__ void __launch_bounds__(THREADS) reverie_##name(const Arguments at)
/** With as many registers as so many blocks on a multiprocessor leave: ptxas would spill some. */
#define KERNEL_OF(blocks, name, Arguments) \
  extern "C" __global__ void __launch_bounds__(THREADS, blocks) reverie_##name(const Arguments at)
#define DEVICE static __device__ __forceinline__
#define SHARED __shared__

DEVICE int thread(void) { return threadIdx.x; }
DEVICE long block(void) { return blockIdx.x; }
DEVICE long blocks(void) { return gridDim.x; }
/** Waits for all threads of the block. */
DEVICE void barrier(void) { __syncthreads(); }
/** The value of the thread of the same warp whose number differs by these bits. */
DEVICE float exchange(float value, int bits) { return __shfl_xor_sync(~0u, value, bits); }
DEVICE float bits_to_float(int bits) { return __int_as_float(bits); }
DEVICE int float_to_bits(float value) { return __float_as_int(value); }
/** Blocks of the running launch that have arrived; 0 between launches, of which one runs at a time. */
static __device__ unsigned arrived;
/**
 * Whether this is the last block of the launch to come here, which sees what all blocks wrote
 * before they came. All threads of all blocks come here, once.
 */
DEVICE int is_last_block(void) {
  SHARED int last;
  __threadfence();
  barrier();
  // Begins again at 0 after the last block.
  if (thread() == 0) last = atomicInc(&arrived, gridDim.x - 1) == gridDim.x - 1;
  barrier();
  __threadfence();
  return last;
}
/**
 * c += a · b by the tensor cores, for a warp's tiles c[16][8], a[16][8] and b[8][8] of numbers with
 * 11 bits; others are cut. The thread 4 g + t of the warp has the elements (PTX, mma.m16n8k8)
 *
 *   upper = c[g][2 t, 2 t + 1]   a = a[g][t], a[g + 8][t], a[g][t + 4], a[g + 8][t + 4]
 *   lower = c[g + 8][2 t, 2 t + 1]   b = b[t][g], b[t + 4][g]
 */
DEVICE void multiply_tiles(float *upper, float *lower, const float *a, const float *b) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(upper[0]), "+f"(upper[1]), "+f"(lower[0]), "+f"(lower[1])
      : "r"(float_to_bits(a[0])), "r"(float_to_bits(a[1])), "r"(float_to_bits(a[2])),
        "r"(float_to_bits(a[3])), "r"(float_to_bits(b[0])), "r"(float_to_bits(b[1])));
}
/** Two numbers rounded to bfloat16, the first in the lower bits. */
DEVICE unsigned two_halves(float first, float second) {
  unsigned both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
  return both;
}
/**
 * c += a · b by the tensor cores, for a warp's tiles c[16][8], a[16][16] and b[16][8], the latter
 * two of bfloat16, two to a word. The thread 4 g + t of the warp has the elements (PTX, mma.m16n8k16)
 *
 *   upper = c[g][2 t, 2 t + 1]   a = a[g][2 t…], a[g + 8][2 t…], a[g][2 t + 8…], a[g + 8][2 t + 8…]
 *   lower = c[g + 8][2 t, 2 t + 1]   b = b[2 t…][g], b[2 t + 8…][g]
 */
DEVICE void multiply_halves(float *upper, float *lower, const unsigned *a, const unsigned *b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(upper[0]), "+f"(upper[1]), "+f"(lower[0]), "+f"(lower[1])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
DEVICE unsigned in_shared(const void *at) { return (unsigned)__cvta_generic_to_shared(at); }
/**
 * Four matrices of 8 × 8 numbers of 16 bits in shared memory, of which the thread i of the warp
 * points to row i % 8 of matrix i / 8, to 16 aligned bytes. The thread 4 g + t gets [g][2 t, 2 t + 1]
 * of each, or of each transposed (PTX, ldmatrix).
 */
DEVICE void load_matrices(unsigned *to, const unsigned short *row, int transposed) {
  if (transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(in_shared(row))
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(in_shared(row))
                 : "memory");
  }
}
/** Begins to copy 16 aligned bytes into shared memory, zeros if there are none. */
DEVICE void begin_copy(void *to, const void *from, int there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(in_shared(to)), "l"(from),
               "r"(there ? 16 : 0)
               : "memory");
}
/** Ends a group of copies that the thread began. */
DEVICE void end_copies(void) { asm volatile("cp.async.commit_group;" ::: "memory"); }
/** Waits for all groups of the thread's copies but the last one. */
DEVICE void await_copies(void) { asm volatile("cp.async.wait_group 1;" ::: "memory"); }
/** Before a loop of constant length: no loop, so that arrays can be registers. */
#define UNROLL _Pragma("unroll")
/** Before a loop that is to stay one, so that it needs few registers. */
#define ROLL _Pragma("unroll 1")

#else

#include <math.h>
#include <stdint.h>
#include <string.h>

#define KERNEL(name, Arguments)                                                   \
  static void name##_kernel(const Arguments at);                                  \
  static void name##_thread(const void *at) { name##_kernel(*(const Arguments *)at); } \
  __attribute__((visibility("default"))) const char *reverie_##name(const void *at, int blocks) { \
    return run_blocks(name##_thread, at, blocks);                                 \
  }                                                                               \
  static void name##_kernel(const Arguments at)
#define KERNEL_OF(blocks, name, Arguments) KERNEL(name, Arguments)
#define DEVICE static inline __attribute__((unused))
#define SHARED static __thread

typedef struct { float x, y, z, w; } float4;

const char *run_blocks(void (*body)(const void *), const void *at, int blocks);
int thread(void);
long block(void);
long blocks(void);
void barrier(void);
float exchange(float value, int bits);
int is_last_block(void);
void multiply_tiles(float *upper, float *lower, const float *a, const float *b);
unsigned two_halves(float first, float second);
void multiply_halves(float *upper, float *lower, const unsigned *a, const unsigned *b);
void load_matrices(unsigned *to, const unsigned short *row, int transposed);
void begin_copy(void *to, const void *from, int there);
void end_copies(void);
void await_copies(void);
#define UNROLL
#define ROLL

DEVICE float bits_to_float(int bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
DEVICE int float_to_bits(float value) {
  int bits;
  memcpy(&bits, &value, 4);
  return bits;
}
DEVICE float rsqrtf(float x) { return 1 / sqrtf(x); }

#endif

/** Shares the indices from 0 to n - 1 among all threads of all blocks. */
#define FOR_EACH(i, n) for (long i = block() * THREADS + thread(); i < (n); i += blocks() * THREADS)

/** Shares them among the threads of a block. */
#define FOR_EACH_IN_BLOCK(i, n) for (long i = thread(); i < (n); i += THREADS)

/** Rounded to the nearest bfloat16, ties to even. */
DEVICE float rounded_to_bf16(float a) {
  unsigned bits = (unsigned)float_to_bits(a);
  if (a != a) return bits_to_float((int)((bits & 0xffff0000u) | 0x400000u));
  return bits_to_float((int)((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u));
}

DEVICE float sigmoid_at(float a) { return 1 / (1 + expf(-a)); }

DEVICE float silu_at(float a) { return a / (1 + expf(-a)); }

DEVICE float silu_slope(float a) {
  float s = sigmoid_at(a);
  return s * (1 + a * (1 - s));
}

/** Rounded to 11 bits, ties away from 0: what the tensor cores take of a float32. */
DEVICE float rounded_to_tf32(float a) {
  unsigned bits = (unsigned)float_to_bits(a);
  unsigned rounded = a != a ? bits | 0x400000u : bits + 0x1000;
  return bits_to_float((int)(rounded & 0xffffe000u));
}

DEVICE float warp_sum(float value) {
  for (int bits = WARP / 2; bits; bits /= 2) value += exchange(value, bits);
  return value;
}

/** The larger, NaN if one is. */
DEVICE float larger(float a, float b) { return a > b || a != a ? a : b; }

DEVICE float warp_max(float value) {
  for (int bits = WARP / 2; bits; bits /= 2) value = larger(value, exchange(value, bits));
  return value;
}

/** What every thread of a block gets of a value of each; `reduce` is warp_sum or warp_max. */
#define BLOCK_REDUCTION(name, warp, of_two)                    \
  DEVICE float name(float value) {                             \
    SHARED float parts[THREADS / WARP];                        \
    value = warp(value);                                       \
    barrier();                                                 \
    if (thread() % WARP == 0) parts[thread() / WARP] = value;  \
    barrier();                                                 \
    value = parts[0];                                          \
    for (int i = 1; i < THREADS / WARP; i++) value = of_two;   \
    return value;                                              \
  }
BLOCK_REDUCTION(block_sum, warp_sum, value + parts[i])
BLOCK_REDUCTION(block_max, warp_max, larger(value, parts[i]))
