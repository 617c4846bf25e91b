// SPDX-License-Identifier: Apache-2.0
//
// The definition of a 3 by 3 convolution of stride 1, for the tests of all that compute it.
#ifndef REVERIE_CONVOLUTION_H
#define REVERIE_CONVOLUTION_H

/** Calls what for every product of an input, a weight and an output. */
#define EACH_PRODUCT(s, what)                                                             \
  for (long b = 0; b < s.n; b++)                                                          \
    for (long oy = 0; oy < s.oh; oy++)                                                    \
      for (long ox = 0; ox < s.ow; ox++)                                                  \
        for (long i = 0; i < 3; i++)                                                      \
          for (long j = 0; j < 3; j++) {                                                  \
            long iy = oy + i - s.padding, ix = ox + j - s.padding;                        \
            if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;                     \
            for (long c = 0; c < s.cin; c++)                                              \
              for (long o = 0; o < s.cout; o++) {                                         \
                long in = ((b * s.h + iy) * s.w + ix) * s.cin + c;                        \
                long out = ((b * s.oh + oy) * s.ow + ox) * s.cout + o;                    \
                long tap = ((i * 3 + j) * s.cin + c) * s.cout + o;                        \
                what;                                                                     \
              }                                                                           \
          }

#endif
