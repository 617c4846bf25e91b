// SPDX-License-Identifier: Apache-2.0
#include "check.h"

void reverie_gemm_pack(const float *, long, long, long, long, long, long, long, long,
                       float *);
void reverie_gemm(const float *, long, long, const float *, long, long, float *, long, long, long,
                  long, const float *, const float *, float *);
void reverie_transpose(const float *, long, long, long, long, float *);
void reverie_gemm_sum(const float *, long, long, long, long, float *);

static long most(long a, long b) { return a > b ? a : b; }

/** Elements that a matrix spans in memory. */
static long span(long rows, long row, long columns, long column) {
  return rows && columns ? (rows - 1) * row + (columns - 1) * column + 1 : 0;
}

/** Every way to lay out and finish one product. */
static void product(long m, long n, long k, int transpose_a, int transpose_b, int packed, int bias,
                    int add, long pad) {
  const long a_row = transpose_a ? 1 : k + pad, a_step = transpose_a ? m + pad : 1;
  const long b_row = transpose_b ? 1 : n + pad, b_column = transpose_b ? k + pad : 1;
  const long c_row = n + pad;
  float *a = numbers(span(m, a_row, k, a_step), 1), *b = numbers(span(k, b_row, n, b_column), 2);
  float *c = floats(span(m, c_row, n, 1)), *extra = numbers(span(m, c_row, n, 1), 3);
  float *scratch = floats((512 + 32) * (m + n + 64)), *offset = numbers(n, 4);
  float *panels = floats(k * ((n + 31) / 32 * 32));
  if (packed) {
    for (long j = 0; j < n; j += 32) {
      reverie_gemm_pack(b, b_row, b_column, k, n, 0, k, j, j + 32, panels);
    }
  }
  reverie_gemm(a, a_row, a_step, packed ? panels : b, b_row, packed ? -1 : b_column, c, c_row, m, n, k,
               bias ? offset : 0, add ? extra : 0, scratch);
  double *want = malloc(sizeof(double) * (size_t)most(1, n));
  for (long i = 0; i < m; i++) {
    for (long j = 0; j < n; j++) {
      want[j] = (bias ? offset[j] : 0) + (add ? extra[i * c_row + j] : 0);
      for (long p = 0; p < k; p++) {
        want[j] += (double)a[i * a_row + p * a_step] * b[p * b_row + j * b_column];
      }
    }
    expect_close("gemm", c + i * c_row, want, n, 2e-7 * (double)(k + 2));
    for (long j = n; j < c_row && i < m - 1; j++) {
      if (!isnan(c[i * c_row + j])) {
        printf("gemm: wrote past a row of %ld\n", n);
        exit(1);
      }
    }
  }
  free(a), free(b), free(c), free(extra), free(scratch), free(offset), free(panels), free(want);
}

static void sums(long size, long count) {
  float *parts = numbers(size * count, 5), *to = floats(size);
  double *want = malloc(sizeof(double) * (size_t)size);
  for (long i = 0; i < size; i++) {
    want[i] = 0;
    for (long part = 0; part < count; part++) {
      want[i] += parts[part * size + i];
    }
  }
  reverie_gemm_sum(parts, count, size, 0, size / 2, to);
  reverie_gemm_sum(parts, count, size, size / 2, size, to);
  expect_close("gemm_sum", to, want, size, 1e-6);
  free(parts), free(to), free(want);
}

static void transposed(long rows, long columns) {
  float *from = numbers(rows * columns, 6), *to = floats(rows * columns);
  double *want = malloc(sizeof(double) * (size_t)(rows * columns));
  for (long r = 0; r < rows; r++) {
    for (long j = 0; j < columns; j++) {
      want[j * rows + r] = from[r * columns + j];
    }
  }
  const long half = columns / 2;
  reverie_transpose(from, rows, columns, 0, half, to);
  reverie_transpose(from, rows, columns, half, columns, to);
  expect_close("turn", to, want, rows * columns, 0);
  free(from), free(to), free(want);
}

int main(void) {
  const long sizes[][3] = {{1, 1, 1},    {3, 5, 7},     {6, 8, 16},   {14, 16, 17}, {15, 32, 3},
                           {29, 33, 64}, {17, 65, 1},   {64, 64, 32}, {5, 130, 40}, {2, 3, 1100},
                           {31, 48, 600}, {0, 3, 2},    {4, 7, 0},    {40, 272, 9}, {300, 2, 5}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    for (int way = 0; way < 64; way++) {
      product(sizes[s][0], sizes[s][1], sizes[s][2], way & 1, way >> 1 & 1, way >> 2 & 1,
              way >> 3 & 1, way >> 4 & 1, way & 32 ? 3 : 0);
    }
  }
  product(20, 24, 1024, 0, 0, 0, 1, 0, 0);  // rows of A a page apart: copied
  product(1024, 16, 20, 1, 0, 0, 0, 1, 0);
  transposed(1, 1), transposed(16, 32), transposed(37, 50);
  sums(1, 1), sums(37, 3), sums(64, 16);
}
