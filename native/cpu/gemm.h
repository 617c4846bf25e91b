// SPDX-License-Identifier: Apache-2.0
//
// Matrix products over blocks that are ready for the inner kernel: what gemm.c and implicit_gemm.c share.
#ifndef REVERIE_GEMM_H
#define REVERIE_GEMM_H

#include "microkernel.h"

/** Steps of k in one pass over C: a panel of B and a few rows of A stay near. */
#define GEMM_DEPTH 512

/** Floats of B that a core's second cache holds beside what else it needs. */
#define GEMM_NEAR (1 << 16)

/** Floats that gemm_block needs for tiles at the right edge. */
#define GEMM_SPARE (MICRO_ROWS * MICRO_PANEL)

/**
 * C = A·B (+ bias) (+ add).
 *
 * a: element (r, p) at a + r * a_row + p * a_step; one of both is 1
 * b: panel q of MICRO_PANEL columns at b + q * b_panel, its row p at + p * b_step, whole vectors
 * bias: n numbers for every row, or null
 * add: m rows of n, may be C itself, or null
 */
struct gemm {
  const float *a;
  long a_row, a_step;
  const float *b;
  long b_panel, b_step;
  float *c;
  long c_row;
  long m, n, k;
  const float *bias;
  const float *add;
  long add_row;
};

/** Multiplies; every element is summed over p in order. */
void gemm_block(const struct gemm *g, float *spare);

/** The same for any k, in passes of GEMM_DEPTH. */
void gemm_deep(const struct gemm *g, float *spare);

/**
 * Packs columns `first` to `end` of k rows of B, `first` a multiple of 32, into panels of k_all rows:
 * column j's begins at to + j * k_all. `row` is the first row's place there.
 */
void reverie_gemm_pack(const float *b, long b_row, long b_column, long k, long n, long row, long k_all,
                       long first, long end, float *to);

/** Columns of B after filling up to whole panels. */
INLINE long gemm_padded(long n) { return (n + MICRO_PANEL - 1) / MICRO_PANEL * MICRO_PANEL; }

/** Whether the kernel can read rows of B in place: whole vectors, and few pages. */
INLINE int gemm_in_place(long b_row, long n) { return n % WIDTH == 0 && b_row <= 256; }

#endif
