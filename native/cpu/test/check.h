// SPDX-License-Identifier: Apache-2.0
//
// What every kernel's test needs: memory that the address sanitizer watches to the byte, numbers
// that repeat, and a comparison that says where and how much.
#ifndef REVERIE_CHECK_H
#define REVERIE_CHECK_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int reverie_supported(void);

/** A processor without the instructions cannot run the test: that is said, and is no failure. */
__attribute__((constructor)) static void skip_unless_supported(void) {
  if (!reverie_supported()) {
    puts("skipped: this processor lacks the instructions");
    exit(0);
  }
}

/** Exactly `count` floats, at an address that is aligned for float only. */
static inline float *floats(long count) {
  float *p = malloc(sizeof(float) * (size_t)(count > 0 ? count : 1));
  for (long i = 0; i < count; i++) {
    p[i] = NAN;
  }
  return p;
}

/** Numbers around zero, different for every seed. */
static inline float *numbers(long count, uint64_t seed) {
  float *p = floats(count);
  uint64_t s = seed * 0x9E3779B97F4A7C15u + 1;
  for (long i = 0; i < count; i++) {
    s = s * 6364136223846793005u + 1442695040888963407u;
    p[i] = (float)((double)(s >> 40) / (1 << 23) - 1);
  }
  return p;
}

/** Ends the test unless every got[i] is within tolerance * (1 + |expected[i]|). */
static inline void expect_close(const char *what, const float *got, const double *expected,
                                long count, double tolerance) {
  for (long i = 0; i < count; i++) {
    double error = fabs(got[i] - expected[i]) / (1 + fabs(expected[i]));
    if (!(error <= tolerance)) {
      printf("%s: element %ld of %ld is %.9g, expected %.9g\n", what, i, count, got[i],
             expected[i]);
      exit(1);
    }
  }
}

#endif
