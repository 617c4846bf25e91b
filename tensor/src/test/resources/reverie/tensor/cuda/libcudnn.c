// SPDX-License-Identifier: Apache-2.0
//
// cuDNN on the processor: convolutions of float32 images in NHWC, in plain loops, and graphs.
#include "standin.h"

#include <dlfcn.h>

enum { NOT_INITIALIZED = 1, BAD_PARAM = 3, NOT_SUPPORTED = 9, FIXED = 1, NHWC = 1, FORWARD = 0, INPUT_GRADIENT = 1, WEIGHT_GRADIENT = 2 };

typedef struct {
  int type, n, c, h, w;
} Tensor;

typedef struct {
  int padding, stride, math;
} Convolution;

typedef struct {
  int algorithm, status;
  float time;
  size_t memory;
  int determinism, math, reserved[3];
} Suggestion;

typedef struct {
  int direction;
  Tensor x, w, y;
  Convolution convolution;
  const float *first, *second;
  float *result;
} Task;

static int handle;

size_t cudnnGetVersion(void) { return VERSION == 8 ? 8902 : 92400; }
const char *cudnnGetErrorString(int status) {
  return status == BAD_PARAM ? "CUDNN_STATUS_BAD_PARAM" : "CUDNN_STATUS_OTHER";
}
/** The newer version is several libraries, which the first opens by name. */
int cudnnCreate(void **made) {
  standin_check("cudnnCreate");
  if (VERSION > 8 && !dlopen("libcudnn_ops.so.9", RTLD_NOW)) return NOT_INITIALIZED;
  return *made = &handle, 0;
}
int cudnnDestroy(void *it) { return it == &handle ? 0 : BAD_PARAM; }
int cudnnSetStream(void *it, void *stream) { return it == &handle && stream ? 0 : BAD_PARAM; }

int cudnnCreateTensorDescriptor(Tensor **made) { return *made = calloc(1, sizeof(Tensor)), 0; }
int cudnnCreateFilterDescriptor(Tensor **made) { return *made = calloc(1, sizeof(Tensor)), 0; }
int cudnnCreateConvolutionDescriptor(Convolution **made) {
  return *made = calloc(1, sizeof(Convolution)), 0;
}
int cudnnDestroyTensorDescriptor(Tensor *it) { return free(it), 0; }
int cudnnDestroyFilterDescriptor(Tensor *it) { return free(it), 0; }
int cudnnDestroyConvolutionDescriptor(Convolution *it) { return free(it), 0; }
int cudnnSetTensor4dDescriptor(Tensor *it, int format, int type, int n, int c, int h, int w) {
  return *it = (Tensor){type, n, c, h, w}, format == NHWC ? 0 : BAD_PARAM;
}
int cudnnSetFilter4dDescriptor(Tensor *it, int type, int format, int k, int c, int h, int w) {
  return *it = (Tensor){type, k, c, h, w}, format == NHWC ? 0 : BAD_PARAM;
}
int cudnnSetConvolution2dDescriptor(Convolution *it, int top, int left, int down, int right,
                                    int dilation_h, int dilation_w, int mode, int compute) {
  *it = (Convolution){top, down, it->math};
  int plain = top == left && down == right && dilation_h * dilation_w == 1;
  return plain && mode == 1 && compute == 0 ? 0 : BAD_PARAM;
}
int cudnnSetConvolutionMathType(Convolution *it, int math) { return it->math = math, 0; }

/** What is missing: "heuristics", "bf16" or "everything"; nothing by default. */
static int lacks(const char *what) {
  const char *missing = getenv("STANDIN_CUDNN_LACKS");
  return missing && !strcmp(missing, what);
}
static int lacks_type(const Tensor *x) { return lacks("everything") || (x->type && lacks("bf16")); }

/**
 * One that differs from time to time, one that is not there, one too large, and the right one; this
 * is missing with tensor cores and a stride.
 */
static int suggest(int direction, const Convolution *it, int wanted, int *found, Suggestion *list) {
  if (wanted != 4) return BAD_PARAM;
  if (lacks("heuristics")) return NOT_SUPPORTED;
  *found = it->math == 1 && it->stride > 1 ? 3 : 4;
  list[0] = (Suggestion){0, 0, 1, 8, 0, it->math, {0}};
  list[1] = (Suggestion){2, 9, -1, 0, 1, it->math, {0}};
  list[2] = (Suggestion){3, 0, 1, (size_t)2 << 30, 1, it->math, {0}};
  list[3] = (Suggestion){5 + direction, 0, 2, 4096, 1, it->math, {0}};
  return 0;
}
#define SUGGESTIONS(Name, a, b, c, direction)                                                    \
  int cudnnGetConvolution##Name##AlgorithmMaxCount(void *it, int *count) {                       \
    return *count = 4, it == &handle ? 0 : BAD_PARAM;                                            \
  }                                                                                              \
  int cudnnGetConvolution##Name##Algorithm_v7(void *it, Tensor *a, Tensor *b, Convolution *conv, \
                                              Tensor *c, int wanted, int *found,                 \
                                              Suggestion *list) {                                \
    if (it != &handle || !a->type != !b->type || !a->type != !c->type) return BAD_PARAM;         \
    if (lacks_type(a)) return NOT_SUPPORTED;                                                     \
    return suggest(direction, conv, wanted, found, list);                                        \
  }                                                                                              \
  int cudnnGetConvolution##Name##WorkspaceSize(void *it, Tensor *a, Tensor *b, Convolution *conv,\
                                               Tensor *c, int algorithm, size_t *bytes) {        \
    int fixed = algorithm == FIXED && lacks("heuristics");                                       \
    if (lacks_type(a) || (algorithm < 5 && !fixed)) return NOT_SUPPORTED;                        \
    *bytes = algorithm == 5 + direction || fixed ? 4096 : (size_t)2 << 30;                       \
    return it == &handle && a && b && c && conv ? 0 : BAD_PARAM;                                 \
  }
SUGGESTIONS(Forward, x, w, y, FORWARD)
SUGGESTIONS(BackwardData, w, dy, dx, INPUT_GRADIENT)
SUGGESTIONS(BackwardFilter, x, dy, dw, WEIGHT_GRADIENT)

static void convolve(const void *at) {
  const Task *t = at;
  Tensor x = t->x, w = t->w, y = t->y;
  const Tensor *made = t->direction == FORWARD ? &y : t->direction == INPUT_GRADIENT ? &x : &w;
  memset(t->result, 0, sizeof(float) * made->n * made->c * made->h * made->w);
  for (int n = 0; n < y.n; n++)
    for (int row = 0; row < y.h; row++)
      for (int column = 0; column < y.w; column++)
        for (int k = 0; k < y.c; k++)
          for (int i = 0; i < w.h; i++)
            for (int j = 0; j < w.w; j++)
              for (int c = 0; c < x.c; c++) {
                int h = row * t->convolution.stride - t->convolution.padding + i;
                int v = column * t->convolution.stride - t->convolution.padding + j;
                if (h < 0 || h >= x.h || v < 0 || v >= x.w) continue;
                long in = ((n * (long)x.h + h) * x.w + v) * x.c + c;
                long weight = ((k * (long)w.h + i) * w.w + j) * w.c + c;
                long out = ((n * (long)y.h + row) * y.w + column) * y.c + k;
                if (t->direction == FORWARD) t->result[out] += t->first[in] * t->second[weight];
                else if (t->direction == INPUT_GRADIENT)
                  t->result[in] += t->first[out] * t->second[weight];
                else t->result[weight] += t->first[in] * t->second[out];
              }
}

static int run(void *it, const float *alpha, const float *beta, int algorithm, void *memory,
               size_t bytes, const Task *task) {
  if (it != &handle || *alpha != 1 || *beta != 0 || !memory || bytes != 4096 ||
      algorithm != (lacks("heuristics") ? FIXED : 5 + task->direction)) {
    return BAD_PARAM;
  }
  struct {
    int direction;
    Tensor x, w, y;
    Convolution convolution;
  } kind = {task->direction, task->x, task->w, task->y, task->convolution};
  standin_known("cudnnConvolution", &kind, sizeof kind);
  standin_aligned("cudnnConvolution", task->first);
  standin_aligned("cudnnConvolution", task->second);
  standin_aligned("cudnnConvolution", task->result);
  SAY("convolution %d of type %d and stride %d with math %d", task->direction, task->x.type,
      task->convolution.stride, task->convolution.math);
  if (task->x.type == 0) standin_enqueue(convolve, task, sizeof *task);
  return 0;
}

int cudnnConvolutionForward(void *it, const float *alpha, Tensor *x, const void *x_at, Tensor *w,
                            const void *w_at, Convolution *conv, int algorithm, void *memory,
                            size_t bytes, const float *beta, Tensor *y, void *y_at) {
  Task task = {FORWARD, *x, *w, *y, *conv, x_at, w_at, y_at};
  return run(it, alpha, beta, algorithm, memory, bytes, &task);
}
int cudnnConvolutionBackwardData(void *it, const float *alpha, Tensor *w, const void *w_at,
                                 Tensor *dy, const void *dy_at, Convolution *conv, int algorithm,
                                 void *memory, size_t bytes, const float *beta, Tensor *dx,
                                 void *dx_at) {
  Task task = {INPUT_GRADIENT, *dx, *w, *dy, *conv, dy_at, w_at, dx_at};
  return run(it, alpha, beta, algorithm, memory, bytes, &task);
}
int cudnnConvolutionBackwardFilter(void *it, const float *alpha, Tensor *x, const void *x_at,
                                   Tensor *dy, const void *dy_at, Convolution *conv, int algorithm,
                                   void *memory, size_t bytes, const float *beta, Tensor *dw,
                                   void *dw_at) {
  Task task = {WEIGHT_GRADIENT, *x, *dw, *dy, *conv, x_at, dy_at, dw_at};
  return run(it, alpha, beta, algorithm, memory, bytes, &task);
}

#ifndef WITHOUT_GRAPHS
#include "cudnn_graph.h"
#endif
