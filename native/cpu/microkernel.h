// SPDX-License-Identifier: Apache-2.0
// The inner kernel of every matrix product: a block of C, at most MICRO_ROWS rows by MICRO_COLS
// vectors, lives in registers while k runs over one slice of A and B.
//
//   C[r, j] += sum over k of A[r, k] * B[k, j]
//
// B is a panel: the row of step k lies at b + k * b_step and has cols * WIDTH floats. Packed panels
// have b_step = cols * WIDTH, so the panel of a product's last columns may be one vector wide
// (micro_cols); columns past n are zeros that the packing writes, so no kernel masks them.
//
// A[r, k] lies at a + r * a_row + k * a_step, and only single floats of it are read. The good forms:
//   a_row = 1, a_step = MICRO_ROWS   packed columns; also A transposed in place (a_step = its pitch),
//   a_row = WIDTH, a_step = 1        slices of WIDTH columns, all rows of one slice together: a row
//                                  major matrix is packed into it by whole vectors, any block of
//                                  rows can start anywhere, and k runs slice by slice,
//   a_row = pitch, a_step = 1        rows in place; when the pitch is not a constant the compiler
//                                  needs registers for it, which costs a few per cent.
// Pass constants as constants: everything here is inlined and unrolled for them.
//
//   vec c[MICRO_ROWS][MICRO_COLS];
//   micro_zero(c, rows, cols);
//   micro_add(c, rows, cols, k, a, a_row, a_step, b, b_step);   // as often as there are slices of k
//   ... the caller's epilogue over c[r][j] ...
//
// rows and cols must be constants after inlining: MICRO_CASES turns sizes of run time into them.
#ifndef REVERIE_MICROKERNEL_H
#define REVERIE_MICROKERNEL_H

#include "vector.h"

#if WIDTH == 16
#define MICRO_ROWS 14  // 28 sums, 2 vectors of B, 1 value of A: 31 of the 32 registers
#else
#define MICRO_ROWS 6  // 12 sums, 2 vectors of B, 1 value of A: 15 of the 16 registers
#endif
#define MICRO_COLS 2
#define MICRO_PANEL (MICRO_COLS * WIDTH)

// How many vectors wide the panel is that starts at column `from` of n.
INLINE int micro_cols(long from, long n) { return n - from > WIDTH ? 2 : 1; }

// Rows of block `block`, of `blocks` near-equal ones that m rows are cut into.
INLINE long micro_first(long block, long blocks, long m) { return block * m / blocks; }
INLINE long micro_blocks(long m) { return (m + MICRO_ROWS - 1) / MICRO_ROWS; }

INLINE void micro_zero(vec (*c)[MICRO_COLS], const int rows, const int cols) {
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 2
    for (int j = 0; j < cols; j++) {
      c[r][j] = (vec){0};
    }
  }
}

INLINE void micro_add(vec (*c)[MICRO_COLS], const int rows, const int cols, long k,
                            const float *a, long a_row, long a_step, const float *b, long b_step) {
  for (; k > 0; k--, a += a_step, b += b_step) {
    // Hides from the compiler that neighbouring steps read neighbouring floats: it would carry them
    // from step to step in registers that the sums need.
    __asm__("" : "+r"(a), "+r"(b));
    vec right[MICRO_COLS];
#pragma GCC unroll 2
    for (int j = 0; j < cols; j++) {
      right[j] = load(b + j * WIDTH);
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      vec left = splat(a[r * a_row]);
#pragma GCC unroll 2
      for (int j = 0; j < cols; j++) {
        c[r][j] += left * right[j];
      }
    }
  }
}

// Runs CALL(rows, cols) with both as constants.
#define MICRO_CASE(r, cols, CALL) \
  case r:                         \
    if (cols == 2) {              \
      CALL(r, 2);                 \
    } else {                      \
      CALL(r, 1);                 \
    }                             \
    break;
#define MICRO_CASES_6(cols, CALL)                                                     \
  MICRO_CASE(1, cols, CALL) MICRO_CASE(2, cols, CALL) MICRO_CASE(3, cols, CALL)       \
  MICRO_CASE(4, cols, CALL) MICRO_CASE(5, cols, CALL) MICRO_CASE(6, cols, CALL)
#if WIDTH == 16
#define MICRO_CASES(rows, cols, CALL)                                                 \
  switch (rows) {                                                                     \
    MICRO_CASES_6(cols, CALL)                                                         \
    MICRO_CASE(7, cols, CALL) MICRO_CASE(8, cols, CALL) MICRO_CASE(9, cols, CALL)     \
    MICRO_CASE(10, cols, CALL) MICRO_CASE(11, cols, CALL) MICRO_CASE(12, cols, CALL)  \
    MICRO_CASE(13, cols, CALL) MICRO_CASE(14, cols, CALL)                             \
  }
#else
#define MICRO_CASES(rows, cols, CALL) \
  switch (rows) { MICRO_CASES_6(cols, CALL) }
#endif

/**
 * The next block of a few row counts that are compiled, when `left` rows are to be done. Blocks of
 * 2 rows wait for their sums: 16 rows are 8 and 8.
 */
INLINE int micro_few(long left) {
  return left >= MICRO_ROWS && left != 16 ? MICRO_ROWS
         : WIDTH == 16 && left >= 8 ? 8
         : left >= 4 ? 4
         : left >= 2 ? 2 : 1;
}

/** Runs CALL(rows, cols) for what micro_few gave, which takes a third of the code. */
#if WIDTH == 16
#define MICRO_FEW_CASES(rows, cols, CALL)                                         \
  switch (rows) {                                                                 \
    MICRO_CASE(1, cols, CALL) MICRO_CASE(2, cols, CALL) MICRO_CASE(4, cols, CALL) \
    MICRO_CASE(8, cols, CALL) MICRO_CASE(14, cols, CALL)                          \
  }
#else
#define MICRO_FEW_CASES(rows, cols, CALL)                                         \
  switch (rows) {                                                                 \
    MICRO_CASE(1, cols, CALL) MICRO_CASE(2, cols, CALL) MICRO_CASE(4, cols, CALL) \
    MICRO_CASE(6, cols, CALL)                                                     \
  }
#endif

#endif
