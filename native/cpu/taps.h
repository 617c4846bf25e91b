// SPDX-License-Identifier: Apache-2.0
#ifndef REVERIE_TAPS_H
#define REVERIE_TAPS_H

/** Taps of a 3 by 3 filter, one way. */
enum { TAPS = 3 };

#endif
