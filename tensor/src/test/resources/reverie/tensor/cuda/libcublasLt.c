// SPDX-License-Identifier: Apache-2.0
//
// cublasLt on the processor: products that add a bias and a residual, or sum columns of a factor.
// STANDIN_CUBLASLT_LACKS names what it has no algorithm for: bias, sums.
#include "standin.h"

enum { SUCCESS = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum { FLOAT32 = 0, BFLOAT16 = 14 };
enum { BIAS = 4, BGRADB = 512, WORKSPACE = 4096 };

static int handle;

typedef struct {
  int type;
  unsigned long rows, columns;
  long leading;
} Layout;

typedef struct {
  int sums, transposed[2];
  unsigned epilogue;
  void *vector;
} Desc;

typedef struct {
  unsigned long workspace;
  unsigned reduction, aligned[4];
} Preference;

typedef struct {
  unsigned long data[8];
} Algorithm;

typedef struct {
  Algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
} Result;

typedef struct {
  Desc desc;
  Layout a, b, c;
  const void *from[2];
  const float *residual;
  float *to;
  void *workspace;
} Product;

int cublasLtCreate(void **made) { return standin_check("cublasLtCreate"), *made = &handle, SUCCESS; }
int cublasLtDestroy(void *it) { return it != &handle; }

int cublasLtMatmulDescCreate(Desc **made, int sums, int scale) {
  *made = calloc(1, sizeof **made);
  (*made)->sums = sums;
  return scale == FLOAT32 ? SUCCESS : INVALID_VALUE;
}

static int set(void *to, size_t size, const void *value, size_t bytes) {
  return size == bytes ? (memcpy(to, value, size), SUCCESS) : INVALID_VALUE;
}

int cublasLtMatmulDescSetAttribute(Desc *it, int attribute, const void *value, size_t bytes) {
  switch (attribute) {
    case 3:
    case 4: return set(&it->transposed[attribute - 3], sizeof(int), value, bytes);
    case 7: return set(&it->epilogue, sizeof it->epilogue, value, bytes);
    case 8: return set(&it->vector, sizeof it->vector, value, bytes);
    default: return INVALID_VALUE;
  }
}

int cublasLtMatmulDescDestroy(Desc *it) { return free(it), SUCCESS; }

int cublasLtMatrixLayoutCreate(Layout **made, int type, unsigned long rows, unsigned long columns,
                               long leading) {
  *made = malloc(sizeof **made);
  **made = (Layout){type, rows, columns, leading};
  return SUCCESS;
}

int cublasLtMatrixLayoutDestroy(Layout *it) { return free(it), SUCCESS; }

int cublasLtMatmulPreferenceCreate(Preference **made) {
  return *made = calloc(1, sizeof **made), SUCCESS;
}

int cublasLtMatmulPreferenceSetAttribute(Preference *it, int attribute, const void *value,
                                         size_t bytes) {
  switch (attribute) {
    case 1: return set(&it->workspace, sizeof it->workspace, value, bytes);
    case 3: return set(&it->reduction, sizeof it->reduction, value, bytes);
    case 5:
    case 6:
    case 7:
    case 8: return set(&it->aligned[attribute - 5], sizeof(unsigned), value, bytes);
    default: return INVALID_VALUE;
  }
}

int cublasLtMatmulPreferenceDestroy(Preference *it) { return free(it), SUCCESS; }

static int lacks(const char *what) {
  const char *lacking = getenv("STANDIN_CUBLASLT_LACKS");
  return lacking && !strcmp(lacking, what);
}

/** Whether the descriptions fit each other, and what is computed is offered. */
static int fits(const Desc *desc, const Layout *a, const Layout *b, const Layout *c,
                const Layout *d) {
  const Layout *all[] = {a, b, c};
  for (int i = 0; i < 3; i++) {
    if (all[i]->leading < (long)all[i]->rows) return INVALID_VALUE;
  }
  const int *t = desc->transposed;
  unsigned long m = t[0] ? a->columns : a->rows, k = t[0] ? a->rows : a->columns;
  if (m != c->rows || (t[1] ? b->columns : b->rows) != k || (t[1] ? b->rows : b->columns) != c->columns
      || memcmp(c, d, sizeof *c) || a->type != b->type || c->type != FLOAT32) {
    return INVALID_VALUE;
  }
  // Factors of bfloat16 have ordinary sums; sums of columns want the columns transposed.
  int types = a->type == FLOAT32 || (a->type == BFLOAT16 && desc->sums == 68);
  int epilogue = (desc->epilogue == BIAS && !lacks("bias")) ||
                 (desc->epilogue == BGRADB && t[1] && !lacks("sums"));
  return types && epilogue && (uintptr_t)desc->vector % 16 == 0 ? SUCCESS : NOT_SUPPORTED;
}

/** What an algorithm is for. */
static unsigned long key(const Desc *desc, const Layout *a, const Layout *b, const Layout *c) {
  unsigned long key = desc->epilogue + 31 * desc->sums + 7 * desc->transposed[0];
  const Layout *all[] = {a, b, c};
  for (int i = 0; i < 3; i++) key = key * 1000003 + all[i]->rows * 31 + all[i]->columns;
  return key;
}

int cublasLtMatmulAlgoGetHeuristic(void *it, const Desc *desc, const Layout *a, const Layout *b,
                                   const Layout *c, const Layout *d, const Preference *preference,
                                   int requested, Result *results, int *count) {
  int aligned = 1;
  for (int i = 0; i < 4; i++) aligned &= preference->aligned[i] == 16;
  if (it != &handle || requested < 2 || preference->reduction != 2 || !aligned) return INVALID_VALUE;
  int status = fits(desc, a, b, c, d);
  if (status != SUCCESS) return status;
  // The first is no good, as some that the library suggests.
  results[0] = (Result){.state = NOT_SUPPORTED};
  results[1] = (Result){{{key(desc, a, b, c)}}, WORKSPACE, SUCCESS, 1, {0}};
  return *count = preference->workspace >= WORKSPACE ? 2 : 0, SUCCESS;
}

static double element(const void *x, int type, long index) {
  if (type == FLOAT32) return ((const float *)x)[index];
  unsigned bits = (unsigned)((const unsigned short *)x)[index] << 16;
  float value;
  return memcpy(&value, &bits, 4), value;
}

static void multiply(const void *at) {
  const Product *p = at;
  memset(p->workspace, -1, WORKSPACE);
  const int *t = p->desc.transposed;
  float *vector = p->desc.vector;
  long k = t[0] ? p->a.rows : p->a.columns;
  for (long j = 0; j < (long)p->c.columns; j++) {
    double column = 0;
    for (long i = 0; i < (long)p->c.rows; i++) {
      double sum = 0;
      column = 0;
      for (long l = 0; l < k; l++) {
        double y = element(p->from[1], p->b.type, t[1] ? j + l * p->b.leading : l + j * p->b.leading);
        sum += element(p->from[0], p->a.type, t[0] ? l + i * p->a.leading : i + l * p->a.leading) * y;
        column += y;
      }
      if (p->residual) sum += p->residual[i + j * p->c.leading];
      p->to[i + j * p->c.leading] = sum + (p->desc.epilogue == BIAS ? vector[i] : 0);
    }
    if (p->desc.epilogue == BGRADB) vector[j] = column;
  }
}

int cublasLtMatmul(void *it, const Desc *desc, const float *alpha, const void *a,
                   const Layout *a_layout, const void *b, const Layout *b_layout,
                   const float *beta, const void *c, const Layout *c_layout, void *d,
                   const Layout *d_layout, const Algorithm *algorithm, void *workspace,
                   size_t bytes, void *stream) {
  int status = fits(desc, a_layout, b_layout, c_layout, d_layout);
  if (status != SUCCESS) return status;
  unsigned long own = key(desc, a_layout, b_layout, c_layout);
  if (it != &handle || *alpha != 1 || (*beta != 0 && *beta != 1) || algorithm->data[0] != own ||
      bytes < WORKSPACE || (uintptr_t)workspace % 256 || !stream) {
    return INVALID_VALUE;
  }
  standin_known("cublasLtMatmul", &own, sizeof own);
  const void *addresses[] = {a, b, c, d, desc->vector};
  for (int i = 0; i < 5; i++) standin_aligned("cublasLtMatmul", addresses[i]);
  SAY("product of type %d with sums of type %d and epilogue %u%s", a_layout->type, desc->sums,
      desc->epilogue, *beta ? " and residual" : "");
  Product product = {*desc, *a_layout, *b_layout, *c_layout, {a, b}, *beta ? c : NULL, d, workspace};
  standin_enqueue(multiply, &product, sizeof product);
  return SUCCESS;
}
