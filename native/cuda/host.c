// SPDX-License-Identifier: Apache-2.0
//
// Runs kernels on the processor, as a device would: block after block, all threads of a block
// between two barriers. A thread that waits for others keeps its stack, a fibre; the order of the
// threads changes all the time, so that a missing barrier shows as different bits.
#include "kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { STACK = 64 << 10 };

typedef enum { NEW, READY, AT_BARRIER, AT_EXCHANGE, DONE } State;

typedef struct {
  ucontext_t context;
  State state;
  float value;
} Thread;

static __thread struct {
  Thread *threads;
  char *stacks;
  ucontext_t scheduler;
  void (*body)(const void *);
  const void *at;
  long block, blocks;
  int running, fibres;
  unsigned order;
} host;

int thread(void) { return host.running; }
long block(void) { return host.block; }
long blocks(void) { return host.blocks; }

static void fail(const char *what) {
  fprintf(stderr, "kernel: %s in block %ld\n", what, host.block);
  abort();
}

static void wait_as(State state) {
  Thread *mine = &host.threads[host.running];
  mine->state = state;
  if (swapcontext(&mine->context, &host.scheduler)) fail("the fibre could not be left");
}

void barrier(void) { wait_as(AT_BARRIER); }

float exchange(float value, int bits) {
  int own = host.running;
  host.threads[own].value = value;
  wait_as(AT_EXCHANGE);
  float other = host.threads[own ^ bits].value;
  wait_as(AT_EXCHANGE);
  return other;
}

/** The thread that comes after one, or -1. */
static int following(int number) {
  int next = host.order % 2 ? number + 1 : number - 1;
  return next < THREADS ? next : -1;
}

/** A fibre runs one thread after the other, until one waits and keeps the fibre. */
static void run_threads(void) {
  for (int next = host.running; next >= 0 && host.threads[next].state == NEW;) {
    host.running = next;
    host.body(host.at);
    host.threads[host.running].state = DONE;
    next = following(host.running);
  }
  setcontext(&host.scheduler);
}

static void resume(int number) {
  Thread *thread = &host.threads[number];
  host.running = number;
  if (thread->state == NEW) {
    getcontext(&thread->context);
    thread->context.uc_stack.ss_sp = host.stacks + (size_t)host.fibres++ * STACK;
    thread->context.uc_stack.ss_size = STACK;
    makecontext(&thread->context, run_threads, 0);
  }
  if (swapcontext(&host.scheduler, &thread->context)) fail("a fibre could not be run");
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

static void run_block(void) {
  for (int i = 0; i < THREADS; i++) host.threads[i].state = NEW;
  host.fibres = 0;
  for (;;) {
    host.order++;
    for (int i = host.order % 2 ? 0 : THREADS - 1; i >= 0; i = following(i)) {
      if (host.threads[i].state <= READY) resume(i);
    }
    int released = 0;
    for (int warp = 0; warp < THREADS; warp += WARP) released += release(warp, WARP, AT_EXCHANGE);
    if (!released) released = release(0, THREADS, AT_BARRIER);
    if (released) continue;
    for (int i = 0; i < THREADS; i++) {
      if (host.threads[i].state != DONE) fail("threads wait at different places");
    }
    return;
  }
}

void run_blocks(void (*body)(const void *), const void *at, int blocks) {
  if (!host.threads) {
    host.threads = calloc(THREADS, sizeof(Thread));
    host.stacks = mmap(NULL, (size_t)THREADS * STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!host.threads || host.stacks == MAP_FAILED) fail("no memory for fibres");
  }
  host.body = body;
  host.at = at;
  host.blocks = blocks;
  for (long i = 0; i < blocks; i++) {
    host.block = i;
    run_block();
  }
}
