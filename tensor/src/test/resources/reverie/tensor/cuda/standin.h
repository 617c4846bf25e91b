// SPDX-License-Identifier: Apache-2.0
//
// What the libraries that stand in for NVIDIA's share: work is done at once, or noted while it is
// captured. Calls without a current context, and captured ones that may not be, abort.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Does work on a copy of its arguments, now or when the graph is launched. */
void standin_enqueue(void (*work)(const void *), const void *arguments, size_t size);
/** Aborts unless the thread has a context. */
void standin_check(const char *call);
/** A line for the test to read. */
#define SAY(...) (fprintf(stdout, __VA_ARGS__), fputc('\n', stdout), fflush(stdout))
