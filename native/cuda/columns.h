// SPDX-License-Identifier: Apache-2.0
//
// How threads share matrices of `rows` rows and c columns, so that neighbours read neighbouring
// columns: a thread has four columns, a quad, of every so-manieth row of a piece of the rows.
// The Java class Columns chooses the numbers.
#pragma once
#include "kernel.h"

typedef struct {
  long matrices, rows, piece; // piece: rows of a piece
  int c, quads, tiles;        // quads of a tile, tiles of a row
  int lanes, pieces;          // lanes: threads that share the rows of a quad
  int aligned;                // whether four columns can be read at once
} Columns;

/** What a thread has: rows from `row` to before `end`, `lanes` apart; none if it is idle. */
typedef struct {
  long matrix, row, end, part; // part: number of the piece among those of all matrices
  int column, columns, lane;   // columns: 1 to 4, or more
  int quad;                    // number of the quad among those of the block
} Place;

DEVICE Place place_in(const Columns *at) {
  int together = at->quads * at->lanes, slots = THREADS / together;
  int slot = thread() / together, within = thread() % together;
  unsigned unit = (unsigned)block() * slots + slot; // long ones would be slow to divide
  Place place;
  place.quad = slot * at->quads + within % at->quads;
  place.lane = within / at->quads;
  place.column = ((int)(unit % at->tiles) * at->quads + within % at->quads) * 4;
  place.columns = at->c - place.column;
  unsigned part = unit / at->tiles;
  place.part = part;
  place.matrix = part / at->pieces;
  long first = part % at->pieces * at->piece;
  place.row = first + place.lane;
  place.end = first + at->piece < at->rows ? first + at->piece : at->rows;
  if (slot >= slots || place.matrix >= at->matrices || place.columns <= 0) {
    place.columns = 0;
    place.end = place.row;
    if (slot >= slots) place.lane = at->lanes;
  }
  return place;
}

/** Where a thread's columns of a row begin. */
DEVICE long first_in(const Columns *at, const Place *place, long row) {
  return (place->matrix * at->rows + row) * at->c + place->column;
}

DEVICE float4 four(float value) {
  float4 all = {value, value, value, value};
  return all;
}

/** How many of four elements there are, if so many are left. */
DEVICE int up_to_four(long left) { return left < 4 ? (int)left : 4; }

/** The first of some columns, at most four. */
DEVICE float4 load_four(const float *x, int columns, int aligned) {
  if (aligned) return *(const float4 *)x;
  float4 value = four(x[0]);
  if (columns > 1) value.y = x[1];
  if (columns > 2) value.z = x[2];
  if (columns > 3) value.w = x[3];
  return value;
}

DEVICE void store_four(float *y, float4 value, int columns, int aligned) {
  if (aligned) {
    *(float4 *)y = value;
    return;
  }
  y[0] = value.x;
  if (columns > 1) y[1] = value.y;
  if (columns > 2) y[2] = value.z;
  if (columns > 3) y[3] = value.w;
}

DEVICE float4 add_fours(float4 a, float4 b) {
  float4 sum = {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
  return sum;
}

DEVICE float4 sub_fours(float4 a, float4 b) {
  float4 y = {a.x - b.x, a.y - b.y, a.z - b.z, a.w - b.w};
  return y;
}

DEVICE float4 mul_fours(float4 a, float4 b) {
  float4 y = {a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w};
  return y;
}

DEVICE float4 larger_fours(float4 a, float4 b) {
  float4 y = {larger(a.x, b.x), larger(a.y, b.y), larger(a.z, b.z), larger(a.w, b.w)};
  return y;
}

/** What all lanes get of a value of each; all threads of a block must take part. */
#define LANE_REDUCTION(name, of_two)                                                  \
  DEVICE float4 name(const Columns *at, const Place *place, float4 value) {           \
    SHARED float4 parts[THREADS];                                                     \
    if (at->lanes == 1) return value;                                                 \
    barrier();                                                                        \
    parts[thread()] = value;                                                          \
    barrier();                                                                        \
    for (int n = at->lanes; n > 1;) {                                                 \
      int half = (n + 1) / 2;                                                         \
      if (place->lane < n - half) {                                                   \
        parts[thread()] = of_two(parts[thread()], parts[thread() + half * at->quads]); \
      }                                                                               \
      n = half;                                                                       \
      barrier();                                                                      \
    }                                                                                 \
    return parts[place->lane < at->lanes ? thread() - place->lane * at->quads : 0];   \
  }
LANE_REDUCTION(lanes_sum, add_fours)
LANE_REDUCTION(lanes_max, larger_fours)
