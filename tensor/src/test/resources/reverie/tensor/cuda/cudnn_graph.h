// SPDX-License-Identifier: Apache-2.0
//
// Graphs of cuDNN's backend on the processor: descriptors with attributes, numbered as in NVIDIA's
// header of this name, and an interpreter of the operations that they describe. A part of libcudnn.c.
#include <math.h>

enum { POINTWISE, CONVOLUTION, ENGINE, ENGINECFG, ENGINEHEUR, PLAN, OP_FORWARD = 10,
       OP_POINTWISE = 13, GRAPH = 15, PACK, TENSOR, MATMUL, OP_MATMUL, REDUCTION = 21, OP_REDUCTION,
       OP_RESHAPE = 31 };
enum { ADD, MUL, DIV = 6, SUB = 9, EXP = 13, LOG = 15, SUM = 0, MAX = 3 };
enum { FLOAT, BFLOAT16 = 9 };
enum { ATTRIBUTES = 16, SUGGESTED = 5, MAX_VALUES = 32, TENSORS = 64 };

typedef struct {
  int name;
  long count;
  long values[MAX_VALUES];
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
             {906, 3, TENSOR}, {907, 2, TENSOR}, {908, 2, TENSOR}, {1000, 3, PACK},
             {1001, 6, PACK}, {1003, 6, PACK}, {1303, 11, ENGINE}, {1500, 1, MATMUL},
             {1520, 15, OP_MATMUL}, {1521, 15, OP_MATMUL}, {1522, 15, OP_MATMUL},
             {1523, 15, OP_MATMUL}, {1600, 18, REDUCTION}, {1601, 1, REDUCTION},
             {1610, 15, OP_REDUCTION}, {1611, 15, OP_REDUCTION}, {1612, 15, OP_REDUCTION},
             {2200, 15, OP_RESHAPE}, {2201, 15, OP_RESHAPE}};

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
  if (it->ready || !belongs(it, name, type) || count > MAX_VALUES || it->attributes == ATTRIBUTES) {
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

static const Attribute *attribute(const Descriptor *it, int name) {
  for (int i = 0; i < it->attributes; i++) {
    if (it->attribute[i].name == name) return &it->attribute[i];
  }
  return NULL;
}

/** A value that was set, or 0. */
static long value(const Descriptor *it, int name, int index) {
  const Attribute *found = attribute(it, name);
  return found ? found->values[index] : 0;
}

static const Descriptor *part(const Descriptor *it, int name, int index) {
  return (const Descriptor *)value(it, name, index);
}

/** What an operation does, as a number: its type, and the function of elements or the reduction. */
static int kind(const Descriptor *operation) {
  int of = operation->type == OP_POINTWISE   ? value(part(operation, 750, 0), 0, 0)
           : operation->type == OP_REDUCTION ? value(part(operation, 1612, 0), 1600, 0)
                                             : 0;
  return 100 * operation->type + of;
}

static int is(const Descriptor *graph, const int *kinds, int count) {
  const Attribute *operations = attribute(graph, 801);
  int same = operations->count == count && value(graph, 800, 0) == (long)&handle;
  for (int i = 0; same && i < count; i++) same = kind(part(graph, 801, i)) == kinds[i];
  return same;
}

#define OF(type, function) (100 * OP_##type + (function))
#define IS(graph, ...) is(graph, (const int[]){__VA_ARGS__}, sizeof(int[]){__VA_ARGS__} / sizeof(int))

static int attends(const Descriptor *graph) {
  return IS(graph, OF(MATMUL, 0), OF(POINTWISE, MUL), OF(REDUCTION, MAX), OF(POINTWISE, SUB),
            OF(POINTWISE, EXP), OF(REDUCTION, SUM), OF(POINTWISE, LOG), OF(POINTWISE, ADD),
            OF(POINTWISE, DIV), OF(MATMUL, 0));
}
static int attends_backward(const Descriptor *graph) {
  return IS(graph, OF(POINTWISE, MUL), OF(REDUCTION, SUM), OF(POINTWISE, MUL), OF(MATMUL, 0),
            OF(POINTWISE, MUL), OF(POINTWISE, SUB), OF(POINTWISE, EXP), OF(RESHAPE, 0),
            OF(MATMUL, 0), OF(MATMUL, 0), OF(POINTWISE, SUB), OF(POINTWISE, MUL),
            OF(POINTWISE, MUL), OF(RESHAPE, 0), OF(MATMUL, 0), OF(RESHAPE, 0), OF(MATMUL, 0));
}

/** Which graphs there are engines for: convolutions with one or two sums, attention. */
static int is_supported(const Descriptor *graph) {
  if (attends_backward(graph)) return !lacks("attention") && !lacks("gradients");
  if (attends(graph)) return !lacks("attention");
  return IS(graph, OF(FORWARD, 0), OF(POINTWISE, ADD)) ||
         IS(graph, OF(FORWARD, 0), OF(POINTWISE, ADD), OF(POINTWISE, ADD));
}

int cudnnBackendFinalize(Descriptor *it) {
  if (it->type == GRAPH && !is_supported(it)) return NOT_SUPPORTED;
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
    case 300:
      descriptors[0]->number = it->number;
      descriptors[0]->of = it->of;
      return *count = 1, 0;
    case 402: {
      const Descriptor *chosen = part(it, 401, 0);
      return *(long *)to = chosen->number == 3 ? 2L << 30 : 4096, *count = 1, 0;
    }
    case 1303: {
      static const int notes[SUGGESTED] = {4, 1, 0, 0, 0};
      int differs = lacks("determinism") && attends_backward(it->of);
      return *(int *)to = differs ? 4 : notes[it->number], *count = 1, 0;
    }
    default: return BAD_PARAM;
  }
}

/** Where a tensor's elements are, as bfloat16 or float32, and whether they are rounded to it. */
typedef struct {
  const Descriptor *tensor;
  void *at;
  int half, rounds;
  long dims[4], strides[4];
} Place;

/** A graph that is run on memory. */
typedef struct {
  const Descriptor *graph;
  int count;
  long ids[MAX_VALUES];
  void *at[MAX_VALUES];
} Run;

typedef struct {
  const Run *run;
  Place places[TENSORS];
  int count;
  void *own[TENSORS];
} Memory;

static Place place_at(const Descriptor *tensor, void *at, int half) {
  Place made = {tensor, at, half, value(tensor, 901, 0) == BFLOAT16, {0}, {0}};
  for (int i = 0; i < 4; i++) {
    made.dims[i] = value(tensor, 902, i);
    // Along dimensions of one element there is no other.
    made.strides[i] = made.dims[i] == 1 ? 0 : value(tensor, 903, i);
  }
  return made;
}

static long offset(const Place *x, const long *index) {
  const long *s = x->strides;
  return index[0] * s[0] + index[1] * s[1] + index[2] * s[2] + index[3] * s[3];
}

static float rounded(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  return memcpy(&x, &bits, sizeof x), x;
}

static float get(const Place *x, const long *index) {
  long at = offset(x, index);
  if (!x->half) return x->rounds ? rounded(((float *)x->at)[at]) : ((float *)x->at)[at];
  uint32_t bits = (uint32_t)((uint16_t *)x->at)[at] << 16;
  float got;
  return memcpy(&got, &bits, sizeof got), got;
}

static void set(const Place *y, const long *index, float x) {
  long at = offset(y, index);
  float kept = y->rounds ? rounded(x) : x;
  uint32_t bits;
  memcpy(&bits, &kept, sizeof bits);
  if (y->half) ((uint16_t *)y->at)[at] = bits >> 16;
  else ((float *)y->at)[at] = kept;
}

/** Where a tensor is, or room for one that is only inside the graph. */
static Place place(Memory *memory, const Descriptor *tensor) {
  for (int i = 0; i < memory->count; i++) {
    if (memory->places[i].tensor == tensor) return memory->places[i];
  }
  int inner = value(tensor, 907, 0);
  Place made = place_at(tensor, NULL, !inner && value(tensor, 901, 0) == BFLOAT16);
  if (value(tensor, 900, 0) != 16 || memory->count == TENSORS) abort();
  if (inner) {
    long last[4];
    for (int i = 0; i < 4; i++) last[i] = made.dims[i] - 1;
    made.at = memory->own[memory->count] = malloc(sizeof(float) * (offset(&made, last) + 1));
  }
  for (int i = 0; !inner && i < memory->run->count; i++) {
    if (memory->run->ids[i] == value(tensor, 906, 0)) made.at = memory->run->at[i];
  }
  if (!made.at) abort();
  return memory->places[memory->count++] = made;
}

/** Goes to the next element in row-major order; 0 after the last. */
static int next(const Place *x, long *index) {
  for (int i = 3; i >= 0; i--) {
    if (++index[i] < x->dims[i]) return 1;
    index[i] = 0;
  }
  return 0;
}

static float function(int it, float a, float b) {
  switch (it) {
    case ADD: return a + b;
    case MUL: return a * b;
    case DIV: return a / b;
    case SUB: return a - b;
    case EXP: return expf(a);
    case LOG: return logf(a);
    default: abort();
  }
}

static void map(Memory *memory, const Descriptor *it) {
  Place a = place(memory, part(it, 751, 0)), y = place(memory, part(it, 753, 0));
  Place b = part(it, 752, 0) ? place(memory, part(it, 752, 0)) : a;
  int of = kind(it) % 100;
  long index[4] = {0};
  do set(&y, index, function(of, get(&a, index), get(&b, index)));
  while (next(&y, index));
}

static void multiply(Memory *memory, const Descriptor *it) {
  Place a = place(memory, part(it, 1520, 0)), b = place(memory, part(it, 1521, 0));
  Place c = place(memory, part(it, 1522, 0));
  long index[4] = {0}, inner = a.dims[3];
  if (inner != b.dims[2]) abort();
  do {
    float sum = 0;
    for (long i = 0; i < inner; i++) {
      sum += get(&a, (long[]){index[0], index[1], index[2], i}) *
             get(&b, (long[]){index[0], index[1], i, index[3]});
    }
    set(&c, index, sum);
  } while (next(&c, index));
}

/** Along the last dimension. */
static void reduce(Memory *memory, const Descriptor *it) {
  Place x = place(memory, part(it, 1610, 0)), y = place(memory, part(it, 1611, 0));
  int of = kind(it) % 100;
  long index[4] = {0};
  do {
    float result = of == MAX ? -INFINITY : 0;
    for (long i = 0; i < x.dims[3]; i++) {
      float one = get(&x, (long[]){index[0], index[1], index[2], i});
      result = of == MAX ? fmaxf(result, one) : result + one;
    }
    set(&y, index, result);
  } while (next(&y, index));
}

/** The same elements under another layout. */
static void reshape(Memory *memory, const Descriptor *it) {
  Place x = place(memory, part(it, 2200, 0));
  memory->places[memory->count++] = place_at(part(it, 2201, 0), x.at, x.half);
}

/** A tensor whose channels come last. */
static Tensor shape(const Descriptor *it) {
  long d[4];
  for (int i = 0; i < 4; i++) d[i] = value(it, 902, i);
  int last = value(it, 903, 0) == d[1] * d[2] * d[3] && value(it, 903, 1) == 1 &&
             value(it, 903, 2) == d[1] * d[3] && value(it, 903, 3) == d[1];
  if (!last) abort();
  return (Tensor){value(it, 901, 0), d[0], d[1], d[2], d[3]};
}

static void convolve_inside(Memory *memory, const Descriptor *it) {
  const Descriptor *convolution = part(it, 702, 0), *x = part(it, 704, 0), *w = part(it, 703, 0),
                   *y = part(it, 705, 0);
  if (value(convolution, 102, 0) != 1) abort();
  Task task = {FORWARD, shape(x), shape(w), shape(y),
               {value(convolution, 105, 0), value(convolution, 103, 0), 0},
               place(memory, x).at, place(memory, w).at, place(memory, y).at};
  convolve(&task);
}

static void interpret(const void *at) {
  Memory memory = {.run = at};
  const Descriptor *graph = memory.run->graph;
  for (int i = 0; i < attribute(graph, 801)->count; i++) {
    const Descriptor *it = part(graph, 801, i);
    switch (it->type) {
      case OP_FORWARD: convolve_inside(&memory, it); break;
      case OP_POINTWISE: map(&memory, it); break;
      case OP_MATMUL: multiply(&memory, it); break;
      case OP_REDUCTION: reduce(&memory, it); break;
      case OP_RESHAPE: reshape(&memory, it); break;
    }
  }
  for (int i = 0; i < TENSORS; i++) free(memory.own[i]);
}

int cudnnBackendExecute(void *it, const Descriptor *plan, const Descriptor *pack) {
  const Descriptor *configuration = part(plan, 401, 0);
  const Attribute *ids = attribute(pack, 1000), *addresses = attribute(pack, 1001);
  if (it != &handle || !plan->ready || !pack->ready || configuration->number != 4 ||
      !value(pack, 1003, 0) || ids->count != addresses->count) {
    return BAD_PARAM;
  }
  Run run = {configuration->of, ids->count, {0}, {0}};
  for (int i = 0; i < run.count; i++) {
    run.ids[i] = ids->values[i];
    run.at[i] = (void *)addresses->values[i];
    // From 100 on they are numbers on the host.
    if (run.ids[i] < 100) standin_aligned("cudnnBackendExecute", run.at[i]);
  }
  standin_known("cudnnBackendExecute", &plan, sizeof plan);
  SAY("graph with %ld operations", attribute(run.graph, 801)->count);
  standin_enqueue(interpret, &run, sizeof run);
  return 0;
}
