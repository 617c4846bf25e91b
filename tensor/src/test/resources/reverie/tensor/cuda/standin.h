// SPDX-License-Identifier: Apache-2.0
//
// What the libraries that stand in for NVIDIA's share: work is done as late as a device may do it,
// when someone waits for it, or captured. Calls without a current context, and those that a capture
// may not survive, abort.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Does work on a copy of its arguments, later or whenever the graph is launched. */
void standin_enqueue(void (*work)(const void *), const void *arguments, size_t size);
/** Aborts if a call of this kind, the bytes given, is made for the first time within a capture. */
void standin_known(const char *call, const void *kind, size_t size);
/** Aborts unless libraries can read all that is at an address without loss. */
void standin_aligned(const char *call, const void *address);
/** Aborts unless the thread has a context. */
void standin_check(const char *call);
/** A line for the test to read. */
#define SAY(...) (fprintf(stdout, __VA_ARGS__), fputc('\n', stdout), fflush(stdout))
