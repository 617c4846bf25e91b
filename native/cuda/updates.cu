// SPDX-License-Identifier: Apache-2.0
//
// Updates of many tensors by one launch: gradients that are added up, averages of weights, the
// optimizer, and weights that are rounded. The tensors are a table in the device's memory, their elements cut into tiles.
#include "halves.h"

enum { MAX_UPDATED = 8, TILE_ELEMENTS = 4096 };

/** Pointers as the update's function names them; those that are not needed are null. */
typedef struct {
  float *at[MAX_UPDATED];
  long n, first_tile; // first_tile: tiles of all tensors before this one
  long aligned;       // whether four elements can be read and written at once
} Updated;

typedef struct {
  const Updated *tensors; // null if there is but `one`
  const int *owners;      // of each tile: the number of its tensor
  const float *control;
  long tiles;
  float beta1, beta2, epsilon, decay;
  Updated one;
} Updates;

DEVICE Updated owner_of(const Updates *at, long tile) {
  return at->tensors ? at->tensors[at->owners[tile]] : at->one;
}

/** A kernel that does something for every four elements from i on of `one`. */
#define UPDATE(name, ...)                                                                   \
  KERNEL(name, Updates) {                                                                   \
    for (long tile = block(); tile < at.tiles; tile += blocks()) {                          \
      const Updated one = owner_of(&at, tile);                                              \
      long start = (tile - one.first_tile) * TILE_ELEMENTS;                                 \
      long end = start + TILE_ELEMENTS < one.n ? start + TILE_ELEMENTS : one.n;             \
      for (long i = start + 4 * thread(); i < end; i += 4 * THREADS) __VA_ARGS__            \
    }                                                                                       \
  }

DEVICE float4 updated_four(const Updated *one, int which, long i) {
  int some = up_to_four(one->n - i);
  return load_four(one->at[which] + i, some, one->aligned && some == 4);
}

DEVICE void put_four(const Updated *one, int which, long i, float4 value) {
  int some = up_to_four(one->n - i);
  store_four(one->at[which] + i, value, some, one->aligned && some == 4);
}

/** y = a + b, of the pointers y, a, b. */
UPDATE(add_all, {
  put_four(&one, 0, i, add_fours(updated_four(&one, 1, i), updated_four(&one, 2, i)));
})

/** y = x as bfloat16, of the pointers y, x. */
UPDATE(narrow_all, {
  int some = up_to_four(one.n - i);
  Result y = {0, (unsigned short *)one.at[0]};
  put_results(y, i, updated_four(&one, 1, i), some, one.aligned && some == 4);
})

/** y = a + weight * (b - a), of the pointers y, a, b. */
UPDATE(lerp, {
  float4 a = updated_four(&one, 1, i), b = updated_four(&one, 2, i);
  put_four(&one, 0, i, add_fours(a, mul_fours(four(at.control[0]), sub_fours(b, a))));
})

DEVICE void adam_at(const Updates *at, float *p, float g, float *m, float *v) {
  float rate = at->control[0], correction1 = at->control[1], correction2 = at->control[2];
  g *= at->control[3];
  *m = at->beta1 * *m + (1 - at->beta1) * g;
  *v = at->beta2 * *v + (1 - at->beta2) * g * g;
  float way = *m / correction1 / (sqrtf(*v / correction2) + at->epsilon) + at->decay * *p;
  *p = *p - rate * way;
}

/**
 * A step of AdamW, of the pointers p, m, v of the results and p, g, m, v of the operands; control:
 * learning rate, both bias corrections, the factor of the gradient.
 */
UPDATE(adam_w, {
  float4 p = updated_four(&one, 3, i), g = updated_four(&one, 4, i);
  float4 m = updated_four(&one, 5, i), v = updated_four(&one, 6, i);
  adam_at(&at, &p.x, g.x, &m.x, &v.x);
  adam_at(&at, &p.y, g.y, &m.y, &v.y);
  adam_at(&at, &p.z, g.z, &m.z, &v.z);
  adam_at(&at, &p.w, g.w, &m.w, &v.w);
  put_four(&one, 0, i, p);
  put_four(&one, 1, i, m);
  put_four(&one, 2, i, v);
})
