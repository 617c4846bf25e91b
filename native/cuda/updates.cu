// SPDX-License-Identifier: Apache-2.0
//
// Updates of many tensors by one launch: gradients that are added up, averages of weights, the
// optimizer, and weights that are rounded. The tensors are a table in the device's memory, their elements cut into tiles.
#include "halves.h"

enum { MAX_UPDATED = 7, MAX_PREPARED = 3, TILE_ELEMENTS = 4096, SIDE = 64 };
enum { HALF = 1, TURNED = 2 };

/** Pointers as the update's function names them; those that are not needed are null. */
typedef struct {
  float *at[MAX_UPDATED];
  long n, first_tile; // first_tile: tiles of all tensors before this one
  long aligned;       // whether four elements can be read and written at once
  // The first result once more, as those want it who read it: bfloat16 if HALF, and the transposed
  // of its matrix of so many rows if TURNED. Then tiles are squares of that; else there is one row.
  long rows;
  void *prepared[MAX_PREPARED];
  long kinds[MAX_PREPARED];
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

DEVICE Result prepared_at(const Updated *one, int k) {
  int half = one->kinds[k] & HALF;
  Result y = {half ? 0 : (float *)one->prepared[k], half ? (unsigned short *)one->prepared[k] : 0};
  return y;
}

/** For four elements, or fewer, from i on; gives the weights. */
DEVICE float4 adam_four(const Updates *at, const Updated *one, long i, int some) {
  int fast = one->aligned && some == 4;
  float4 p = load_four(one->at[3] + i, some, fast), g = load_four(one->at[4] + i, some, fast);
  float4 m = load_four(one->at[5] + i, some, fast), v = load_four(one->at[6] + i, some, fast);
  adam_at(at, &p.x, g.x, &m.x, &v.x);
  adam_at(at, &p.y, g.y, &m.y, &v.y);
  adam_at(at, &p.z, g.z, &m.z, &v.z);
  adam_at(at, &p.w, g.w, &m.w, &v.w);
  store_four(one->at[0] + i, p, some, fast);
  store_four(one->at[1] + i, m, some, fast);
  store_four(one->at[2] + i, v, some, fast);
  UNROLL
  for (int k = 0; k < MAX_PREPARED; k++) {
    if (one->prepared[k] && !(one->kinds[k] & TURNED)) {
      put_results(prepared_at(one, k), i, p, some, fast);
    }
  }
  return p;
}

/**
 * A step of AdamW, of the pointers p, m, v of the results and p, g, m, v of the operands; control:
 * learning rate, both bias corrections, the factor of the gradient.
 */
KERNEL_OF(4, adam_w, Updates) {
  SHARED float square[SIDE][SIDE + 1];
  for (long tile = block(); tile < at.tiles; tile += blocks()) {
    const Updated one = owner_of(&at, tile);
    int turned = one.rows > 1;
    long number = tile - one.first_tile;
    long columns = one.n / one.rows, across = (columns + SIDE - 1) / SIDE;
    long row = number / across * SIDE, column = number % across * SIDE;
    FOR_EACH_IN_BLOCK(k, TILE_ELEMENTS / 4) {
      int y = (int)k / (SIDE / 4), x = (int)k % (SIDE / 4) * 4;
      long i = turned ? (row + y) * columns + column + x : number * TILE_ELEMENTS + 4 * k;
      long left = !turned ? one.n - i : row + y < one.rows ? columns - column - x : 0;
      if (left > 0) {
        float4 p = adam_four(&at, &one, i, up_to_four(left));
        if (turned) {
          square[y][x] = p.x;
          square[y][x + 1] = p.y;
          square[y][x + 2] = p.z;
          square[y][x + 3] = p.w;
        }
      }
    }
    if (!turned) continue;
    // Through shared memory, so that whole warps write along rows.
    barrier();
    FOR_EACH_IN_BLOCK(k, SIDE * SIDE) {
      int y = (int)k % SIDE, x = (int)k / SIDE;
      if (row + y < one.rows && column + x < columns) {
        UNROLL
        for (int j = 0; j < MAX_PREPARED; j++) {
          if (one.prepared[j] && (one.kinds[j] & TURNED)) {
            put_result(prepared_at(&one, j), (column + x) * one.rows + row + y, square[y][x]);
          }
        }
      }
    }
    barrier();
  }
}
