// SPDX-License-Identifier: Apache-2.0
//
// cuDNN on the processor: convolutions of float32 images in NHWC, in plain loops.
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

/** Graphs: descriptors with attributes, numbered as in cudnn_graph.h. */
enum { POINTWISE, CONVOLUTION, ENGINE, ENGINECFG, ENGINEHEUR, PLAN, OP_FORWARD = 10,
       OP_POINTWISE = 13, GRAPH = 15, PACK, TENSOR };
enum { ATTRIBUTES = 16, SUGGESTED = 5, MAX_DIMS = 8 };

typedef struct {
  int name;
  long count;
  long values[MAX_DIMS];
} Attribute;

typedef struct Descriptor {
  int type, ready, number;
  const struct Descriptor *of;
  int attributes;
  Attribute attribute[ATTRIBUTES];
} Descriptor;

/** The type of an attribute's values, and the descriptor it belongs to. */
static const struct {
  int name, type, of;
} known[] = {{0, 14, POINTWISE}, {1, 1, POINTWISE}, {100, 1, CONVOLUTION}, {101, 7, CONVOLUTION},
             {102, 3, CONVOLUTION}, {103, 3, CONVOLUTION}, {104, 3, CONVOLUTION},
             {105, 3, CONVOLUTION}, {106, 3, CONVOLUTION}, {200, 8, ENGINEHEUR},
             {201, 15, ENGINEHEUR}, {202, 15, ENGINEHEUR}, {300, 15, ENGINECFG}, {400, 0, PLAN},
             {401, 15, PLAN}, {402, 3, PLAN}, {700, 4, OP_FORWARD}, {701, 4, OP_FORWARD},
             {702, 15, OP_FORWARD}, {703, 15, OP_FORWARD}, {704, 15, OP_FORWARD},
             {705, 15, OP_FORWARD}, {750, 15, OP_POINTWISE}, {751, 15, OP_POINTWISE},
             {752, 15, OP_POINTWISE}, {753, 15, OP_POINTWISE}, {800, 0, GRAPH}, {801, 15, GRAPH},
             {900, 3, TENSOR}, {901, 1, TENSOR}, {902, 3, TENSOR}, {903, 3, TENSOR},
             {906, 3, TENSOR}, {907, 2, TENSOR}, {1000, 3, PACK}, {1001, 6, PACK}, {1003, 6, PACK},
             {1303, 11, ENGINE}};

static int belongs(const Descriptor *it, int name, int type) {
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (known[i].name == name) return known[i].type == type && known[i].of == it->type;
  }
  return 0;
}

/** Bytes of a value of a type. */
static int bytes_of(int type) {
  return type == 2 ? 1 : type == 0 || type == 3 || type == 6 || type == 15 ? 8 : 4;
}

int cudnnBackendCreateDescriptor(int type, Descriptor **made) {
  *made = calloc(1, sizeof **made);
  (*made)->type = type;
  return 0;
}

int cudnnBackendDestroyDescriptor(Descriptor *it) { return free(it), 0; }

int cudnnBackendSetAttribute(Descriptor *it, int name, int type, long count, const void *values) {
  if (it->ready || !belongs(it, name, type) || count > MAX_DIMS || it->attributes == ATTRIBUTES) {
    return BAD_PARAM;
  }
  Attribute *own = &it->attribute[it->attributes++];
  own->name = name;
  own->count = count;
  for (long i = 0; i < count; i++) {
    memcpy(&own->values[i], (const char *)values + i * bytes_of(type), bytes_of(type));
    if (type == 15 && !((Descriptor *)own->values[i])->ready && it->type != PLAN) return BAD_PARAM;
  }
  return 0;
}

/** A value that was set, or 0. */
static long value(const Descriptor *it, int name, int index) {
  for (int i = 0; i < it->attributes; i++) {
    if (it->attribute[i].name == name) return it->attribute[i].values[index];
  }
  return 0;
}

static const Descriptor *part(const Descriptor *it, int name, int index) {
  return (const Descriptor *)value(it, name, index);
}

/** A tensor whose channels come last. */
static Tensor shape(const Descriptor *it) {
  long d[4];
  for (int i = 0; i < 4; i++) d[i] = value(it, 902, i);
  int last = value(it, 903, 0) == d[1] * d[2] * d[3] && value(it, 903, 1) == 1 &&
             value(it, 903, 2) == d[1] * d[3] && value(it, 903, 3) == d[1];
  if (!last || value(it, 900, 0) != 16) abort();
  return (Tensor){value(it, 901, 0), d[0], d[1], d[2], d[3]};
}

/** Whether a graph is a convolution, then sums of what is there and a tensor each. */
static int convolves(const Descriptor *graph) {
  const Descriptor *convolution = part(graph, 801, 0), *sum = part(convolution, 705, 0);
  if (convolution->type != OP_FORWARD || value(graph, 800, 0) != (long)&handle) return 0;
  for (int i = 1; i < graph->attribute[0].count; i++) {
    const Descriptor *add = part(graph, 801, i);
    if (add->type != OP_POINTWISE || part(add, 751, 0) != sum || !value(sum, 907, 0)) return 0;
    sum = part(add, 753, 0);
  }
  return !value(sum, 907, 0);
}

int cudnnBackendFinalize(Descriptor *it) {
  if (it->type == GRAPH && !convolves(it)) return NOT_SUPPORTED;
  if (it->type == ENGINEHEUR && (lacks("graphs") || value(it, 200, 0) != 3)) return NOT_SUPPORTED;
  // What is suggested is not always there.
  if (it->type == PLAN && part(it, 401, 0)->number == 2) return NOT_SUPPORTED;
  return it->ready = 1, 0;
}

/** One that differs, one that cuts factors, one that is not there, one too large, the right one. */
int cudnnBackendGetAttribute(Descriptor *it, int name, int type, long asked, long *count, void *to) {
  if (!belongs(it, name, type)) return BAD_PARAM;
  Descriptor **descriptors = to;
  switch (name) {
    case 202:
      *count = SUGGESTED;
      for (int i = 0; i < SUGGESTED && i < asked; i++) {
        descriptors[i]->number = i;
        descriptors[i]->of = part(it, 201, 0);
      }
      return 0;
    case 300: return descriptors[0]->number = it->number, *count = 1, 0;
    case 402: {
      const Descriptor *chosen = part(it, 401, 0);
      return *(long *)to = chosen->number == 3 ? 2L << 30 : 4096, *count = 1, 0;
    }
    case 1303: {
      static const int notes[SUGGESTED] = {4, 1, 0, 0, 0};
      return *(int *)to = notes[it->number], *count = 1, 0;
    }
    default: return BAD_PARAM;
  }
}

typedef struct {
  Task task;
  const float *added[2];
  long period[2];
} Layer;

static void convolve_and_add(const void *at) {
  const Layer *layer = at;
  convolve(&layer->task);
  long n = (long)layer->task.y.n * layer->task.y.h * layer->task.y.w * layer->task.y.c;
  for (long i = 0; i < n; i++) {
    for (int j = 0; j < 2 && layer->added[j]; j++) {
      layer->task.result[i] += layer->added[j][i % layer->period[j]];
    }
  }
}

static void *pointer(const Descriptor *pack, const Descriptor *tensor) {
  for (int i = 0; i < MAX_DIMS; i++) {
    if (value(pack, 1000, i) == value(tensor, 906, 0)) return (void *)value(pack, 1001, i);
  }
  return NULL;
}

int cudnnBackendExecute(void *it, const Descriptor *plan, const Descriptor *pack) {
  const Descriptor *configuration = part(plan, 401, 0), *graph = configuration->of;
  const Descriptor *first = part(graph, 801, 0), *convolution = part(first, 702, 0);
  int operations = graph->attribute[0].count;
  const Descriptor *result = part(part(graph, 801, operations - 1), 753, 0);
  if (it != &handle || !plan->ready || !pack->ready || configuration->number != 4 ||
      !value(pack, 1003, 0) || value(convolution, 102, 0) != 1) {
    return BAD_PARAM;
  }
  Layer layer = {{FORWARD, shape(part(first, 704, 0)), shape(part(first, 703, 0)), shape(result),
                  {value(convolution, 105, 0), value(convolution, 103, 0), 0},
                  pointer(pack, part(first, 704, 0)), pointer(pack, part(first, 703, 0)),
                  pointer(pack, result)}, {0}, {0}};
  for (int i = 1; i < operations; i++) {
    const Descriptor *tensor = part(part(graph, 801, i), 752, 0);
    Tensor added = shape(tensor);
    layer.added[i - 1] = pointer(pack, tensor);
    layer.period[i - 1] = (long)added.n * added.c * added.h * added.w;
    standin_aligned("cudnnBackendExecute", layer.added[i - 1]);
  }
  standin_aligned("cudnnBackendExecute", layer.task.first);
  standin_aligned("cudnnBackendExecute", layer.task.second);
  standin_aligned("cudnnBackendExecute", layer.task.result);
  struct {
    Tensor x, w;
    Convolution convolution;
    int operations;
  } kind = {layer.task.x, layer.task.w, layer.task.convolution, operations};
  standin_known("cudnnBackendExecute", &kind, sizeof kind);
  SAY("graph of type %d with %d operations", layer.task.x.type, operations);
  standin_enqueue(convolve_and_add, &layer, sizeof layer);
  return 0;
}
