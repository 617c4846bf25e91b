// SPDX-License-Identifier: Apache-2.0
//
// cuBLAS on the processor: products column by column in plain loops.
#include "standin.h"

typedef struct {
  int transposed[2], m, n, k, leading[3], half[3], batch;
  long stride[3];
  const void *a, *b;
  void *c;
} Product;

/** Types of elements, as cudaDataType numbers them. */
enum { FLOAT32 = 0, BFLOAT16 = 14 };

static int handle;

int cublasCreate_v2(void **made) { return standin_check("cublasCreate"), *made = &handle, 0; }
int cublasDestroy_v2(void *it) { return it != &handle; }
int cublasGetProperty(int part, int *value) { return *value = (const int[]){VERSION, 1, 2}[part], 0; }
const char *cublasGetStatusName(int status) {
  return status == 7 ? "CUBLAS_STATUS_INVALID_VALUE" : "CUBLAS_STATUS_UNKNOWN";
}
int cublasSetAtomicsMode(void *it, int mode) { return it != &handle || mode ? 7 : 0; }
int cublasSetMathMode(void *it, int mode) { return it != &handle || mode != 16 ? 7 : 0; }
int cublasSetStream_v2(void *it, void *stream) { return it != &handle || !stream ? 7 : 0; }
int cublasSetWorkspace_v2(void *it, void *memory, size_t bytes) {
  return it != &handle || (uintptr_t)memory % 256 || bytes != 32u << 20 ? 7 : 0;
}

static double element(const void *x, int half, long index) {
  if (!half) return ((const float *)x)[index];
  unsigned bits = (unsigned)((const unsigned short *)x)[index] << 16;
  float value;
  return memcpy(&value, &bits, 4), value;
}

static void put(void *x, int half, long index, float value) {
  unsigned bits;
  memcpy(&bits, &value, 4);
  if (!half) ((float *)x)[index] = value;
  else ((unsigned short *)x)[index] = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static void multiply(const void *at) {
  const Product *p = at;
  for (int batch = 0; batch < p->batch; batch++) {
    long a = batch * p->stride[0], b = batch * p->stride[1], c = batch * p->stride[2];
    for (int j = 0; j < p->n; j++) {
      for (int i = 0; i < p->m; i++) {
        double sum = 0;
        for (int l = 0; l < p->k; l++) {
          long x = p->transposed[0] ? l + (long)i * p->leading[0] : i + (long)l * p->leading[0];
          long y = p->transposed[1] ? j + (long)l * p->leading[1] : l + (long)j * p->leading[1];
          sum += element(p->a, p->half[0], a + x) * element(p->b, p->half[1], b + y);
        }
        put(p->c, p->half[2], c + i + (long)j * p->leading[2], sum);
      }
    }
  }
}

int cublasGemmStridedBatchedEx(void *it, int a_op, int b_op, int m, int n, int k,
                               const float *alpha, const void *a, int a_type, int a_leading,
                               long long a_stride, const void *b, int b_type, int b_leading,
                               long long b_stride, const float *beta, void *c, int c_type,
                               int c_leading, long long c_stride, int batch, int compute,
                               int algorithm) {
  int types = a_type == b_type && (a_type == FLOAT32 || a_type == BFLOAT16) &&
              (c_type == FLOAT32 || c_type == a_type);
  if (it != &handle || *alpha != 1 || *beta != 0 || !types || algorithm != -1) return 7;
  long kind[] = {a_op, b_op, m, n, k, a_leading, a_stride, b_leading, b_stride, c_leading, batch,
                 compute, a_type, c_type};
  standin_known("cublasGemmStridedBatchedEx", kind, sizeof kind);
  standin_aligned("cublasGemmStridedBatchedEx", a);
  standin_aligned("cublasGemmStridedBatchedEx", b);
  standin_aligned("cublasGemmStridedBatchedEx", c);
  SAY("product of type %d with sums of type %d", a_type, compute);
  Product product = {{a_op, b_op}, m, n, k, {a_leading, b_leading, c_leading},
                     {a_type, b_type, c_type}, batch, {a_stride, b_stride, c_stride}, a, b, c};
  standin_enqueue(multiply, &product, sizeof product);
  return 0;
}
