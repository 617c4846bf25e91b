// SPDX-License-Identifier: Apache-2.0
//
// CUDA's driver on the processor: what Reverie's driver calls, with the signatures of cuda.h.
#include "standin.h"

#include <dlfcn.h>

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, NOT_FOUND = 500 };
enum { PARAMETERS = 1024, CAPACITY = 128 << 20 };

typedef struct Node {
  void (*work)(const void *);
  struct Node *next;
  char arguments[];
} Node;

typedef struct {
  void (*kernel)(const void *, int);
  int blocks;
  char parameters[PARAMETERS] __attribute__((aligned(16)));
} Launch;

typedef struct {
  void *to;
  const void *from;
  size_t bytes;
} Copied;

static int context, stream, module;
static void *kernels;
static Node *captured, **last;
static Node *pending, **end = &pending;
static int capturing;
static size_t used;
static __thread const void *current;

void standin_check(const char *call) {
  if (current != &context) {
    fprintf(stderr, "%s: no current context\n", call);
    abort();
  }
}

void standin_enqueue(void (*work)(const void *), const void *arguments, size_t size) {
  standin_check("work");
  Node *node = malloc(sizeof *node + size);
  node->work = work;
  node->next = NULL;
  memcpy(node->arguments, arguments, size);
  Node ***to = capturing ? &last : &end;
  **to = node;
  *to = &node->next;
}

/** Does all work that was asked for. */
static void finish(void) {
  for (Node *node = pending, *next; node; node = next) {
    node->work(node->arguments);
    next = node->next;
    free(node);
  }
  pending = NULL;
  end = &pending;
}

void standin_known(const char *call, const void *kind, size_t size) {
  static struct {
    size_t size;
    char *bytes;
  } known[4096];
  static int count;
  for (int i = 0; i < count; i++) {
    if (known[i].size == size && !memcmp(known[i].bytes, kind, size)) return;
  }
  if (capturing || count == 4096) {
    fprintf(stderr, "%s: first call of its kind within a capture\n", call);
    abort();
  }
  known[count].size = size;
  known[count++].bytes = memcpy(malloc(size), kind, size);
}

void standin_aligned(const char *call, const void *address) {
  if ((uintptr_t)address % 16) {
    fprintf(stderr, "%s: misaligned address\n", call);
    abort();
  }
}

int cuInit(unsigned flags) { return flags ? INVALID_VALUE : SUCCESS; }
int cuDriverGetVersion(int *version) { return *version = 13000, SUCCESS; }
int cuDeviceGet(int *device, int ordinal) {
  return ordinal > 0 ? INVALID_DEVICE : (*device = ordinal, SUCCESS);
}
int cuDeviceGetName(char *name, int length, int device) {
  return snprintf(name, length, "stand-in %d", device), SUCCESS;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { return *bytes = CAPACITY + device, SUCCESS; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  return *value = attribute == 75 ? 9 : attribute == 16 ? 132 : device, SUCCESS;
}
int cuDevicePrimaryCtxRetain(void **made, int device) {
  return *made = &context + device, SUCCESS;
}
int cuDevicePrimaryCtxRelease_v2(int device) { return SAY("released"), device; }
int cuCtxSetCurrent(void *wanted) { return current = wanted, SUCCESS; }

int cuStreamCreate(void **made, unsigned flags) {
  return *made = &stream, flags == 1 ? SUCCESS : INVALID_VALUE;
}
int cuStreamDestroy_v2(void *it) { return it == &stream ? SUCCESS : INVALID_VALUE; }
int cuStreamSynchronize(void *it) {
  if (it != &stream || capturing) return INVALID_VALUE;
  return finish(), SUCCESS;
}
int cuStreamBeginCapture_v2(void *it, int mode) {
  if (it != &stream || mode != 2 || capturing) return INVALID_VALUE;
  capturing = 1;
  captured = NULL;
  last = &captured;
  return SUCCESS;
}
int cuStreamEndCapture(void *it, void **graph) {
  if (it != &stream || !capturing) return INVALID_VALUE;
  capturing = 0;
  *graph = captured;
  return SUCCESS;
}
int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
  return *executable = graph, flags ? INVALID_VALUE : SUCCESS;
}
int cuGraphDestroy(void *graph) { return (void)graph, SUCCESS; }
static void run_graph(const void *at) {
  for (Node *node = *(Node *const *)at; node; node = node->next) node->work(node->arguments);
}
int cuGraphLaunch(void *graph, void *it) {
  if (it != &stream || capturing) return INVALID_VALUE;
  standin_enqueue(run_graph, &graph, sizeof graph);
  return SUCCESS;
}
int cuGraphExecDestroy(void *graph) {
  finish();
  for (Node *node = graph, *next; node; node = next) next = node->next, free(node);
  return SUCCESS;
}

int cuModuleLoadData(void **made, const void *image) {
  kernels = dlopen(getenv("STANDIN_KERNELS"), RTLD_NOW);
  *made = &module;
  return image && kernels ? SUCCESS : NOT_FOUND;
}
int cuModuleUnload(void *it) { return it == &module ? SUCCESS : INVALID_VALUE; }
int cuModuleGetFunction(void **function, void *it, const char *name) {
  if (it != &module || capturing) return INVALID_VALUE;
  return (*function = dlsym(kernels, name)) ? SUCCESS : NOT_FOUND;
}
static void launch(const void *at) {
  const Launch *launch = at;
  launch->kernel(launch->parameters, launch->blocks);
}
int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned threads,
                   unsigned threads_y, unsigned threads_z, unsigned shared, void *it,
                   void **parameters, void **extra) {
  if (y * z * threads_y * threads_z != 1 || threads != 256 || shared || it != &stream || extra) {
    return INVALID_VALUE;
  }
  Launch noted = {.kernel = (void (*)(const void *, int))function, .blocks = x};
  memcpy(noted.parameters, parameters[0], PARAMETERS);
  standin_enqueue(launch, &noted, sizeof noted);
  return SUCCESS;
}

int cuMemAlloc_v2(uintptr_t *address, size_t bytes) {
  standin_check("cuMemAlloc");
  if (used + bytes > CAPACITY) return OUT_OF_MEMORY;
  size_t *block = aligned_alloc(256, (bytes + 511) / 256 * 256);
  *block = bytes;
  used += bytes;
  *address = (uintptr_t)block + 256;
  return SUCCESS;
}
int cuMemFree_v2(uintptr_t address) {
  finish();
  void *block = (void *)(address - 256);
  used -= *(size_t *)block;
  free(block);
  return SUCCESS;
}
int cuMemGetInfo_v2(size_t *available, size_t *total) {
  *total = CAPACITY;
  *available = CAPACITY - used;
  return SUCCESS;
}
static void copy(const void *at) {
  const Copied *copied = at;
  memcpy(copied->to, copied->from, copied->bytes);
}
int cuMemcpyHtoDAsync_v2(uintptr_t to, const void *from, size_t bytes, void *it) {
  if (it != &stream || capturing) return INVALID_VALUE;
  standin_enqueue(copy, &(Copied){(void *)to, from, bytes}, sizeof(Copied));
  return SUCCESS;
}
int cuMemcpyDtoHAsync_v2(void *to, uintptr_t from, size_t bytes, void *it) {
  return cuMemcpyHtoDAsync_v2((uintptr_t)to, (const void *)from, bytes, it);
}

int cuMemHostRegister_v2(void *at, size_t bytes, unsigned flags) {
  return at && bytes && !flags ? SUCCESS : INVALID_VALUE;
}
int cuMemHostUnregister(void *at) { return at ? SUCCESS : INVALID_VALUE; }

int cuEventCreate(void **event, unsigned flags) {
  return *event = malloc(1), flags ? INVALID_VALUE : SUCCESS;
}
int cuEventRecord(void *event, void *it) { return event && it == &stream ? SUCCESS : INVALID_VALUE; }
int cuEventSynchronize(void *event) { return finish(), event ? SUCCESS : INVALID_VALUE; }
int cuEventElapsedTime(float *milliseconds, void *from, void *to) {
  return *milliseconds = 1.5f, from && to ? SUCCESS : INVALID_VALUE;
}
int cuEventDestroy_v2(void *event) { return free(event), SUCCESS; }

int cuGetErrorName(int error, const char **name) {
  *name = error == NOT_FOUND        ? "CUDA_ERROR_NOT_FOUND"
          : error == INVALID_DEVICE ? "CUDA_ERROR_INVALID_DEVICE"
                                    : "CUDA_ERROR_INVALID_VALUE";
  return SUCCESS;
}
int cuGetErrorString(int error, const char **words) {
  return *words = error == INVALID_DEVICE ? "invalid device ordinal" : "something else", SUCCESS;
}
