// SPDX-License-Identifier: Apache-2.0
//
// Kernels with the mistakes that the emulation is there to show, and one without: EmulationTest.
#include "../kernel.h"

typedef struct {
  const float *x;
  float *y; // x reversed in each block, of what is right
  long n;   // THREADS for each block
} Reversed;

DEVICE long own(void) { return block() * THREADS + thread(); }

/** None. */
KERNEL(right, Reversed) {
  SHARED float values[THREADS];
  values[thread()] = at.x[own()];
  barrier();
  at.y[own()] = values[THREADS - 1 - thread()];
}

/** The first block alone writes what all read. */
KERNEL(wrong_unwritten, Reversed) {
  SHARED float values[THREADS];
  if (block() == 0) values[thread()] = at.x[own()];
  barrier();
  at.y[own()] = values[THREADS - 1 - thread()];
}

/** Reads what others may not have written. */
KERNEL(wrong_too_early, Reversed) {
  SHARED float values[THREADS];
  values[thread()] = at.x[own()];
  at.y[own()] = values[THREADS - 1 - thread()];
}

/** Writes what others may not have read. */
KERNEL(wrong_too_late, Reversed) {
  SHARED float values[THREADS];
  values[thread()] = at.x[own()];
  barrier();
  at.y[own()] = values[THREADS - 1 - thread()];
  values[thread()] = 0;
}

/** Exchanges within warps where whole blocks ought to wait. */
KERNEL(wrong_warp, Reversed) {
  SHARED float values[THREADS];
  values[thread()] = at.x[own()];
  float same = exchange(0, 1);
  at.y[own()] = values[THREADS - 1 - thread()] + same;
}

/** Reads what another block may not have written. */
KERNEL(wrong_block, Reversed) {
  at.y[own()] = at.x[own()];
  barrier();
  long other = (blocks() - block()) * THREADS - 1 - thread();
  at.y[own()] += at.y[other];
}

/** Does not wait for the last copy. */
KERNEL(wrong_copy, Reversed) {
  SHARED float values[THREADS] __attribute__((aligned(16)));
  if (thread() % 4 == 0) begin_copy(values + thread(), at.x + own(), 1);
  end_copies();
  await_copies();
  barrier();
  at.y[own()] = values[THREADS - 1 - thread()];
}

/** Copies from an address that is not aligned. */
KERNEL(wrong_source, Reversed) {
  SHARED float values[THREADS] __attribute__((aligned(16)));
  if (thread() % 4 == 0) begin_copy(values + thread(), at.x + own() + 1, 1);
  end_copies();
  end_copies();
  await_copies();
  barrier();
  at.y[own()] = values[THREADS - 1 - thread()];
}

/** Copies to an address that is not aligned. */
KERNEL(wrong_target, Reversed) {
  SHARED float values[THREADS + 4] __attribute__((aligned(16)));
  if (thread() % 4 == 0) begin_copy(values + thread() + 1, at.x + own(), 1);
  end_copies();
  end_copies();
  await_copies();
  barrier();
  at.y[own()] = values[THREADS - thread()];
}

/** Reads rows of matrices that are not aligned. */
KERNEL(wrong_matrix, Reversed) {
  SHARED float values[4 * WARP + 4] __attribute__((aligned(16)));
  unsigned parts[4];
  if (thread() < 4 * WARP) values[thread()] = at.x[own()];
  barrier();
  load_matrices(parts, (const unsigned short *)(values + thread() % WARP * 4 + 1), 0);
  at.y[own()] = (float)parts[0];
}

/** Half of a block waits for the other, which has ended. */
KERNEL(wrong_end, Reversed) {
  if (thread() < THREADS / 2) return;
  barrier();
  at.y[own()] = at.x[own()];
}

/** Warps wait for a block that waits for warps. */
KERNEL(wrong_wait, Reversed) {
  float other = 0;
  if (thread() % 2) barrier();
  else other = exchange(at.x[own()], 2);
  at.y[own()] = other;
}
