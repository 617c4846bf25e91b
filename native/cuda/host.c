// SPDX-License-Identifier: Apache-2.0
//
// Runs kernels on the processor, as a device would: block after block, all threads of a block
// between two barriers, warp after warp. A thread that waits for others keeps its stack, a fibre; the
// order of the threads changes all the time and that of warps and blocks with every launch, so that
// what depends on it shows as different bits. Shared memory is full of NaN when the first block of
// a launch begins, and the second.
#define _GNU_SOURCE
#include "halves.h"

#include <link.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { STACK = 64 << 10, MAX_COPIES = 64 };

typedef enum { NEW, READY, AT_BARRIER, AT_EXCHANGE, DONE } State;

typedef struct {
  jmp_buf place; // where it waits; unlike contexts these do without calls of the system
  State state;
  // What it lends to its warp, in turn: while some read what was lent, others may lend again, but not
  // twice, since all must have come to the next exchange.
  struct {
    float value;
    unsigned a[4], b[2];
    unsigned short row[8];
  } lent[2];
  unsigned exchanges;
  // Copies into shared memory that are under way, and groups of them that were ended.
  struct {
    void *to;
    const void *from;
    int there, group;
  } copies[MAX_COPIES];
  int copying, groups;
} Thread;

typedef struct {
  jmp_buf place; // where it waits for threads to run
  char *stack;
} Fibre;

static __thread struct {
  Thread *threads;
  Fibre *fibres;
  int *idle; // numbers of fibres that run no thread
  int made, idles;
  jmp_buf scheduler;
  void (*body)(const void *);
  const void *at;
  long block, blocks, arrived; // arrived: blocks that were told whether they are the last
  int running;
  unsigned order, launches;
  jmp_buf caller;
  char mistake[80];
} host;

int thread(void) { return host.running; }
long block(void) { return host.block; }
long blocks(void) { return host.blocks; }

/** Gives up the launch: run_blocks says why. */
static void fail(const char *what) {
  snprintf(host.mistake, sizeof host.mistake, "%s in block %ld", what, host.block);
  host.made = host.idles = 0;
  _longjmp(host.caller, 1);
}

/** Goes on at another place, until someone comes back to this one. */
static void leave(jmp_buf here, jmp_buf to) {
  if (!_setjmp(here)) _longjmp(to, 1);
}

static void wait_as(State state) {
  Thread *mine = &host.threads[host.running];
  mine->state = state;
  leave(mine->place, host.scheduler);
}

void barrier(void) { wait_as(AT_BARRIER); }

float exchange(float value, int bits) {
  int own = host.running, turn = host.threads[own].exchanges++ % 2;
  host.threads[own].lent[turn].value = value;
  wait_as(AT_EXCHANGE);
  return host.threads[own ^ bits].lent[turn].value;
}

int is_last_block(void) {
  barrier();
  if (host.running == 0) host.arrived++;
  barrier();
  return host.arrived == host.blocks;
}

/** What the tensor cores take of a number. */
static double cut(unsigned bits) { return bits_to_float((int)bits & ~0x1fff); }

// Shows a thread's part of the factors to its warp, whose first thread is given back.
static const Thread *lend(const void *a, const void *b, int *turn) {
  Thread *own = host.threads + host.running, *warp = host.threads + host.running / WARP * WARP;
  *turn = own->exchanges++ % 2;
  memcpy(own->lent[*turn].a, a, sizeof own->lent->a);
  memcpy(own->lent[*turn].b, b, sizeof own->lent->b);
  wait_as(AT_EXCHANGE);
  return warp;
}

void multiply_tiles(float *upper, float *lower, const float *a, const float *b) {
  int own = host.running, row = own % WARP / 4, column = own % 4 * 2, turn;
  const Thread *warp = lend(a, b, &turn);
  for (int c = 0; c < 2; c++) {
    double above = upper[c], below = lower[c];
    for (int k = 0; k < 8; k++) {
      double factor = cut(warp[(column + c) * 4 + k % 4].lent[turn].b[k / 4]);
      const unsigned *factors = warp[row * 4 + k % 4].lent[turn].a + k / 4 * 2;
      above += factor * cut(factors[0]);
      below += factor * cut(factors[1]);
    }
    upper[c] = (float)above;
    lower[c] = (float)below;
  }
}

unsigned two_halves(float first, float second) {
  return (unsigned)(bf16_bits(first) | bf16_bits(second) << 16);
}

void multiply_halves(float *upper, float *lower, const unsigned *a, const unsigned *b) {
  int own = host.running, row = own % WARP / 4, column = own % 4 * 2, turn;
  const Thread *warp = lend(a, b, &turn);
  for (int c = 0; c < 2; c++) {
    double above = upper[c], below = lower[c];
    for (int k = 0; k < 16; k++) {
      int lender = k / 2 % 4, shift = k % 2 * 16;
      double factor = from_bf16_bits(warp[(column + c) * 4 + lender].lent[turn].b[k / 8] >> shift);
      const unsigned *factors = warp[row * 4 + lender].lent[turn].a + k / 8 * 2;
      above += factor * from_bf16_bits(factors[0] >> shift);
      below += factor * from_bf16_bits(factors[1] >> shift);
    }
    upper[c] = (float)above;
    lower[c] = (float)below;
  }
}

static void check_aligned(const void *address) {
  if ((size_t)address % 16) fail("an address is not aligned to 16 bytes");
}

void load_matrices(unsigned *to, const unsigned short *row, int transposed) {
  int own = host.running, g = own % WARP / 4, t = own % 4;
  int turn = host.threads[own].exchanges++ % 2;
  Thread *warp = host.threads + own / WARP * WARP;
  check_aligned(row);
  memcpy(host.threads[own].lent[turn].row, row, 16);
  wait_as(AT_EXCHANGE);
  for (int m = 0; m < 4; m++) {
    Thread *rows = warp + 8 * m;
    unsigned first = transposed ? rows[2 * t].lent[turn].row[g] : rows[g].lent[turn].row[2 * t];
    unsigned second =
        transposed ? rows[2 * t + 1].lent[turn].row[g] : rows[g].lent[turn].row[2 * t + 1];
    to[m] = first | second << 16;
  }
}

/** What is read before it is there is NaN. */
void begin_copy(void *to, const void *from, int there) {
  Thread *mine = &host.threads[host.running];
  check_aligned(to);
  check_aligned(from);
  if (mine->copying == MAX_COPIES) fail("too many copies are under way");
  memset(to, -1, 16);
  mine->copies[mine->copying].to = to;
  mine->copies[mine->copying].from = from;
  mine->copies[mine->copying].there = there;
  mine->copies[mine->copying++].group = mine->groups;
}

void end_copies(void) { host.threads[host.running].groups++; }

void await_copies(void) {
  Thread *mine = &host.threads[host.running];
  int left = 0;
  for (int i = 0; i < mine->copying; i++) {
    if (mine->copies[i].group >= mine->groups - 1) {
      mine->copies[left++] = mine->copies[i];
    } else if (mine->copies[i].there) {
      memcpy(mine->copies[i].to, mine->copies[i].from, 16);
    } else {
      memset(mine->copies[i].to, 0, 16);
    }
  }
  mine->copying = left;
}

/** The thread of the same warp that comes after one, or -1. */
static int following(int number) {
  int last = host.order % 2 ? WARP - 1 : 0;
  return number % WARP == last ? -1 : host.order % 2 ? number + 1 : number - 1;
}

/** One thread after the other, until one waits and keeps the fibre. */
static void run_threads(void) {
  for (int next = host.running; next >= 0 && host.threads[next].state == NEW;) {
    host.running = next;
    host.body(host.at);
    host.threads[host.running].state = DONE;
    next = following(host.running);
  }
}

static void run_fibre(int number) {
  for (;;) {
    run_threads();
    host.idle[host.idles++] = number;
    leave(host.fibres[number].place, host.scheduler);
  }
}

static void start_fibre(void) {
  ucontext_t context;
  int number = host.made++;
  Fibre *fibre = &host.fibres[number];
  if (getcontext(&context)) fail("a fibre could not be made");
  context.uc_stack.ss_sp = fibre->stack;
  context.uc_stack.ss_size = STACK;
  makecontext(&context, (void (*)(void))run_fibre, 1, number);
  if (!_setjmp(host.scheduler)) setcontext(&context);
}

static void resume(int number) {
  Thread *thread = &host.threads[number];
  host.running = number;
  if (thread->state != NEW) leave(host.scheduler, thread->place);
  else if (host.idles) leave(host.scheduler, host.fibres[host.idle[--host.idles]].place);
  else start_fibre();
}

/** Lets go those of a group who all wait for each other; whether there were any. */
static int release(int from, int count, State waiting) {
  int waiters = 0;
  for (int i = from; i < from + count; i++) {
    if (host.threads[i].state == waiting) waiters++;
    else if (host.threads[i].state != DONE) return 0;
  }
  for (int i = from; i < from + count; i++) {
    if (host.threads[i].state != waiting) {
      if (waiters) fail("some threads wait for others that have ended");
      continue;
    }
    host.threads[i].state = READY;
  }
  return waiters;
}

/** Runs a warp as far as the next barrier: its threads in turn, in another direction each time. */
static void run_warp(int first) {
  do {
    host.order++;
    for (int i = host.order % 2 ? first : first + WARP - 1; i >= 0; i = following(i)) {
      if (host.threads[i].state <= READY) resume(i);
    }
  } while (release(first, WARP, AT_EXCHANGE));
}

/** Warps run one after the other, each far ahead of the next: the first before the last, or after it. */
static void run_block(void) {
  for (int i = 0; i < THREADS; i++) {
    host.threads[i].state = NEW;
    host.threads[i].exchanges = 0;
    host.threads[i].copying = host.threads[i].groups = 0;
  }
  int backwards = (host.block + host.launches) % 2;
  do {
    for (int warp = 0; warp < THREADS; warp += WARP) {
      run_warp(backwards ? THREADS - WARP - warp : warp);
    }
  } while (release(0, THREADS, AT_BARRIER));
  for (int i = 0; i < THREADS; i++) {
    if (host.threads[i].state != DONE) fail("threads wait at different places");
  }
}

/**
 * Fills what this library has of its own for each thread of the processor, but for the state of the
 * emulation: all variables that are SHARED.
 */
static int poison_shared(struct dl_phdr_info *library, size_t size, void *state) {
  char *own = state, *from = library->dlpi_tls_data;
  (void)size;
  for (int i = 0; i < library->dlpi_phnum && from; i++) {
    const ElfW(Phdr) *part = &library->dlpi_phdr[i];
    char *to = from + part->p_memsz;
    if (part->p_type != PT_TLS || own < from || own >= to) continue;
    memset(from, -1, (size_t)(own - from));
    memset(own + sizeof host, -1, (size_t)(to - own) - sizeof host);
    return 1;
  }
  return 0;
}

/** Has the orders of threads, warps and blocks begin anew from here; there are four. */
__attribute__((visibility("default"))) void reverie_order(int order) {
  host.order = (unsigned)order % 2;
  host.launches = (unsigned)order / 2;
}

/** Runs a kernel; null, or the mistake that ended it. */
const char *run_blocks(void (*body)(const void *), const void *at, int blocks) {
  if (_setjmp(host.caller)) return host.mistake;
  if (!host.threads) {
    host.threads = calloc(THREADS, sizeof(Thread));
    host.fibres = calloc(THREADS, sizeof(Fibre));
    host.idle = calloc(THREADS, sizeof(int));
    char *stacks = mmap(NULL, (size_t)THREADS * STACK, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!host.threads || !host.fibres || !host.idle || stacks == MAP_FAILED) {
      fail("no memory for fibres");
    }
    for (int i = 0; i < THREADS; i++) host.fibres[i].stack = stacks + (size_t)i * STACK;
  }
  host.body = body;
  host.at = at;
  host.blocks = blocks;
  host.arrived = 0;
  host.launches++;
  for (long i = 0; i < blocks; i++) {
    // There is much of it: the first two find it so, and show what they do not write.
    if (i < 2 && !dl_iterate_phdr(poison_shared, &host)) fail("shared memory was not found");
    host.block = host.launches % 2 ? i : blocks - 1 - i;
    run_block();
  }
  if (host.arrived % blocks) fail("some blocks have not arrived");
  return NULL;
}
