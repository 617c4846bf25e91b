// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "check.h"

#ifdef AMX
void reverie_amx_pack(const float *, long, long, long, long, long, long, long, uint16_t *);
void reverie_amx_gemm(const float *, long, long, const uint16_t *, float *, long, long, long, long,
                      long, const float *, const float *, uint16_t *);

static long up(long a, long b) { return (a + b - 1) / b * b; }

/** One product with both operands row-major or transposed. */
static void product(long m, long n, long k, int terms, int a_transposed, int b_transposed, int biased,
                    int added) {
  float *a = numbers(m * k, 1), *b = numbers(k * n, 2), *c = floats(m * n);
  float *bias = numbers(n, 3), *add = numbers(m * n, 4);
  long a_row = a_transposed ? 1 : k, a_step = a_transposed ? m : 1;
  long b_row = b_transposed ? 1 : n, b_column = b_transposed ? k : 1;
  double *want = malloc(8 * m * n);
  for (long r = 0; r < m; r++) {
    for (long j = 0; j < n; j++) {
      double sum = (biased ? bias[j] : 0) + (added ? add[r * n + j] : 0);
      for (long p = 0; p < k; p++) {
        sum += (double)a[r * a_row + p * a_step] * b[p * b_row + j * b_column];
      }
      want[r * n + j] = sum;
    }
  }
  uint16_t *right = aligned_alloc(64, 2 * up(n, 32) * up(k, 32) * terms);
  uint16_t *left = aligned_alloc(64, 2 * 32 * up(k, 32) * terms);
  for (long j = 0; j < n; j += 32) {
    reverie_amx_pack(b, b_row, b_column, k, n, terms, j, j + 32, right);
  }
  reverie_amx_gemm(a, a_row, a_step, right, c, n, m, n, k, terms, biased ? bias : 0,
                   added ? add : 0, left);
  expect_close("amx_gemm", c, want, m * n, terms == 3 ? 2e-6 : 1e-4);
  free(a), free(b), free(c), free(bias), free(add), free(want), free(left), free(right);
}

/** Rounding by integers must not make a number of a NaN, be it as GPUs write it. */
static void nan_stays(int terms, uint32_t bits) {
  enum { SIDE = 32 };
  float *a = numbers(SIDE * SIDE, 1), *b = numbers(SIDE * SIDE, 2), *c = floats(SIDE * SIDE);
  memcpy(&a[SIDE + 5], &bits, sizeof bits);
  uint16_t *right = aligned_alloc(64, 2 * SIDE * SIDE * 3);
  uint16_t *left = aligned_alloc(64, 2 * SIDE * SIDE * 3);
  reverie_amx_pack(b, SIDE, 1, SIDE, SIDE, terms, 0, SIDE, right);
  reverie_amx_gemm(a, SIDE, 1, right, c, SIDE, SIDE, SIDE, SIDE, terms, 0, 0, left);
  for (int i = 0; i < SIDE * SIDE; i++) {
    if (isnan(c[i]) != (i / SIDE == 1)) {
      fprintf(stderr, "NaN %x with %d terms: element %d is %g\n", bits, terms, i, c[i]);
      exit(1);
    }
  }
  free(a), free(b), free(c), free(left), free(right);
}

int main(void) {
  for (int terms = 2; terms <= 3; terms++) {
    nan_stays(terms, 0x7fc00000);
    nan_stays(terms, 0x7fffffff);
    nan_stays(terms, 0xffffffff);
  }
  const long sizes[][3] = {{1, 1, 1}, {16, 16, 32}, {33, 17, 31}, {64, 48, 96}, {5, 70, 65}, {40, 33, 300}};
  for (int s = 0; s < 6; s++) {
    for (int form = 0; form < 32; form++) {
      product(sizes[s][0], sizes[s][1], sizes[s][2], 2 + (form & 1), form >> 1 & 1, form >> 2 & 1,
              form >> 3 & 1, form >> 4);
    }
  }
}
#else
int main(void) {}
#endif
