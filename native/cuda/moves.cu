// SPDX-License-Identifier: Apache-2.0
//
// Elements that go elsewhere, and random ones. What moves whole runs of elements does so four at a
// time where every run and address allows it: NAME_fours, with all lengths counted in fours.
#include "halves.h"

/** Of binary16. */
DEVICE float from_f16_bits(unsigned long bits) {
  int size = (int)(bits & 0x7fff) << 13, sign = (int)(unsigned)((bits & 0x8000) << 16);
  // The exponents' biases differ by 112, which a product adds for subnormal numbers too.
  float wide = bits_to_float(size) * bits_to_float((112 + 127) << 23);
  if ((bits & 0x7c00) == 0x7c00) wide = bits_to_float(size | 0x7f800000);
  return bits_to_float(float_to_bits(wide) | sign);
}

typedef struct {
  const void *from;
  void *to;
  long rows, columns; // of the matrix that is read
} Transposed;

DEVICE float itself(float value) { return value; }

/** In tiles through shared memory, so that whole warps read and write along rows. */
#define TRANSPOSE(name, From, wide, Type, of)                                             \
  KERNEL(name, Transposed) {                                                              \
    SHARED float tile[WARP][WARP + 1];                                                    \
    long across = (at.columns + WARP - 1) / WARP, down = (at.rows + WARP - 1) / WARP;     \
    int lane = thread() % WARP;                                                           \
    for (long i = block(); i < across * down; i += blocks()) {                            \
      long row = i / across * WARP, column = i % across * WARP;                           \
      for (int k = thread() / WARP; k < WARP; k += THREADS / WARP) {                      \
        if (row + k < at.rows && column + lane < at.columns) {                            \
          const From *from = (const From *)at.from + (row + k) * at.columns;              \
          tile[k][lane] = wide(from[column + lane]);                                      \
        }                                                                                 \
      }                                                                                   \
      barrier();                                                                          \
      for (int k = thread() / WARP; k < WARP; k += THREADS / WARP) {                      \
        if (column + k < at.columns && row + lane < at.rows) {                            \
          ((Type *)at.to)[(column + k) * at.rows + row + lane] = (Type)of(tile[lane][k]); \
        }                                                                                 \
      }                                                                                   \
      barrier();                                                                          \
    }                                                                                     \
  }
TRANSPOSE(transpose, float, itself, float, itself)
TRANSPOSE(transpose_to_bf16, float, itself, unsigned short, bf16_bits)
TRANSPOSE(transpose_from_bf16, unsigned short, from_bf16_bits, float, itself)

typedef struct {
  float *wide;
  unsigned short *narrow; // bfloat16
  long n;
  int fours; // whether both are aligned
} Resized;

KERNEL(narrow, Resized) {
  FOR_EACH(i, (at.n + 3) / 4) {
    if (at.fours && 4 * i + 4 <= at.n) {
      ((unsigned long *)at.narrow)[i] = four_to_bf16(((const float4 *)at.wide)[i]);
    } else {
      for (long k = 4 * i; k < 4 * i + 4 && k < at.n; k++) {
        at.narrow[k] = (unsigned short)bf16_bits(at.wide[k]);
      }
    }
  }
}

#define WIDEN(name, value)                                           \
  KERNEL(name, Resized) {                                            \
    FOR_EACH(i, (at.n + 3) / 4) {                                    \
      if (at.fours && 4 * i + 4 <= at.n) {                           \
        unsigned long x = ((const unsigned long *)at.narrow)[i];     \
        float4 y;                                                    \
        y.x = value(x);                                              \
        y.y = value(x >> 16);                                        \
        y.z = value(x >> 32);                                        \
        y.w = value(x >> 48);                                        \
        ((float4 *)at.wide)[i] = y;                                  \
      } else {                                                       \
        for (long k = 4 * i; k < 4 * i + 4 && k < at.n; k++) {       \
          at.wide[k] = value(at.narrow[k]);                          \
        }                                                            \
      }                                                              \
    }                                                                \
  }

WIDEN(widen, from_bf16_bits)
WIDEN(widen_f16, from_f16_bits)

typedef struct {
  const float *x;
  float *y;
  long rows, count;        // of x
  long before, width, row; // in a row of y: zeros before those of x, all that is written, all
} Placed;

/** Rows of x within longer ones of y, zeros around them. */
#define PLACE(name, Type)                                                                 \
  KERNEL(name, Placed) {                                                                  \
    const Type zero = {0};                                                                \
    FOR_EACH(i, at.rows * at.width) {                                                     \
      long row = i / at.width, column = i % at.width, from = column - at.before;          \
      ((Type *)at.y)[row * at.row + column] =                                             \
          from >= 0 && from < at.count ? ((const Type *)at.x)[row * at.count + from] : zero; \
    }                                                                                     \
  }
PLACE(place, float)
PLACE(place_fours, float4)

enum { MAX_PARTS = 8 };

typedef struct {
  const float *parts[MAX_PARTS];
  long counts[MAX_PARTS]; // in a row of each
  Result y;
  long rows, width, row; // width: in a row of all parts; row: from a row of y to the next
} Concatenated;

DEVICE void put_fours(Result y, long i, float4 value) { put_results(y, 4 * i, value, 4, 1); }

/** Rows of several parts behind each other. */
#define CONCAT(name, Type, put)                                                              \
  KERNEL(name, Concatenated) {                                                          \
    FOR_EACH(i, at.rows * at.width) {                                                   \
      long row = i / at.width, to = i % at.width, from = to;                            \
      int part = 0;                                                                     \
      while (from >= at.counts[part]) from -= at.counts[part++];                        \
      const Type *x = (const Type *)at.parts[part];                                     \
      put(at.y, row * at.row + to, x[row * at.counts[part] + from]);                    \
    }                                                                                   \
  }
CONCAT(concat, float, put_result)
CONCAT(concat_fours, float4, put_fours)

typedef struct {
  const float *table;
  const int *indices;
  float *y;
  long count;
  int rows, d;
} Looked;

/** Rows of a table; NaN for an index outside it. */
#define EMBED(name, Type, ...)                                                   \
  KERNEL(name, Looked) {                                                         \
    const Type nan = {__VA_ARGS__};                                              \
    FOR_EACH(i, at.count * at.d) {                                               \
      int index = at.indices[i / at.d];                                          \
      ((Type *)at.y)[i] = index >= 0 && index < at.rows                          \
                              ? ((const Type *)at.table)[index * (long)at.d + i % at.d] \
                              : nan;                                             \
    }                                                                            \
  }
EMBED(embedding, float, NAN)
EMBED(embedding_fours, float4, NAN, NAN, NAN, NAN)

typedef struct {
  const float *dy;
  const int *indices;
  float *y;
  long count, rows;
  int d;
} Scattered;

/** A block adds up a row of y, in the order of the indices, looking at many of them at once. */
KERNEL(scatter_rows, Scattered) {
  SHARED int here[THREADS];
  for (long row = block(); row < at.rows; row += blocks()) {
    float *y = at.y + row * at.d;
    FOR_EACH_IN_BLOCK(j, at.d) y[j] = 0;
    for (long first = 0; first < at.count; first += THREADS) {
      long own = first + thread();
      int mine = own < at.count && at.indices[own] == row;
      barrier();
      here[thread()] = mine;
      if (block_max(mine ? 1.0f : 0.0f) == 0) continue;
      for (int k = 0; k < THREADS; k++) {
        if (here[k]) {
          FOR_EACH_IN_BLOCK(j, at.d) y[j] += at.dy[(first + k) * at.d + j];
        }
      }
    }
  }
}

typedef struct {
  const float *x;
  Result y;
  long n; // elements of y
  int factor, w, c; // w: pixels in a row of the smaller image
} Scaled;

#define UPSAMPLE(name, Type, put)                                             \
  KERNEL(name, Scaled) {                                                 \
    long row = (long)at.w * at.factor;                                   \
    FOR_EACH(i, at.n) {                                                  \
      long pixel = i / at.c;                                             \
      long from = pixel / row / at.factor * at.w + pixel % row / at.factor; \
      put(at.y, i, ((const Type *)at.x)[from * at.c + i % at.c]);        \
    }                                                                    \
  }
UPSAMPLE(upsample, float, put_result)
UPSAMPLE(upsample_fours, float4, put_fours)

#define AVERAGE_POOL(name, Type, put)                                                         \
  KERNEL(name, Scaled) {                                                                 \
    float scale = 1.0f / ((float)at.factor * at.factor);                                 \
    long row = (long)at.w * at.factor;                                                   \
    FOR_EACH(i, at.n) {                                                                  \
      long pixel = i / at.c, corner = (pixel / at.w * row + pixel % at.w) * at.factor;   \
      Type total = {0};                                                                  \
      for (int down = 0; down < at.factor; down++) {                                     \
        for (int right = 0; right < at.factor; right++) {                                \
          Type x = ((const Type *)at.x)[(corner + down * row + right) * at.c + i % at.c]; \
          for (int k = 0; k < (int)(sizeof(Type) / 4); k++) {                            \
            ((float *)&total)[k] += ((float *)&x)[k];                                    \
          }                                                                              \
        }                                                                                \
      }                                                                                  \
      for (int k = 0; k < (int)(sizeof(Type) / 4); k++) ((float *)&total)[k] *= scale;   \
      put(at.y, i, total);                                                               \
    }                                                                                    \
  }
AVERAGE_POOL(average_pool, float, put_result)
AVERAGE_POOL(average_pool_fours, float4, put_fours)

typedef struct {
  float *image, *columns;
  long images; // how many
  int h, w, c, rows, across, kh, kw, stride, padding; // rows, across: of the result
} Unfolded;

/** columns[pixels of the result, kh, kw, c] = what a convolution's weights meet, 0 outside. */
KERNEL(unfold, Unfolded) {
  FOR_EACH(i, at.images * at.rows * at.across * at.kh * at.kw * at.c) {
    long place = i / at.c, pixel = place / (at.kh * at.kw), image = pixel / (at.rows * at.across);
    int tap = (int)(place % (at.kh * at.kw)), own = (int)(pixel % (at.rows * at.across));
    int y = own / at.across * at.stride - at.padding + tap / at.kw;
    int x = own % at.across * at.stride - at.padding + tap % at.kw;
    int inside = y >= 0 && y < at.h && x >= 0 && x < at.w;
    at.columns[i] =
        inside ? at.image[((image * at.h + y) * at.w + x) * at.c + i % at.c] : 0;
  }
}

/** Each element of the images = the sum of all columns that unfold makes of it. */
KERNEL(fold, Unfolded) {
  FOR_EACH(i, at.images * at.h * at.w * at.c) {
    long pixel = i / at.c, image = pixel / (at.h * at.w);
    int y = (int)(pixel % (at.h * at.w)) / at.w, x = (int)(pixel % at.w);
    float sum = 0;
    for (int down = 0; down < at.kh; down++) {
      int row = y + at.padding - down;
      if (row < 0 || row % at.stride || row / at.stride >= at.rows) continue;
      for (int right = 0; right < at.kw; right++) {
        int column = x + at.padding - right;
        if (column < 0 || column % at.stride || column / at.stride >= at.across) continue;
        long from = (image * at.rows + row / at.stride) * at.across + column / at.stride;
        sum += at.columns[((from * at.kh + down) * at.kw + right) * at.c + i % at.c];
      }
    }
    at.image[i] = sum;
  }
}

/** Philox4x32-10 (Salmon et al. 2011), as the class Philox has it. */
DEVICE void philox(unsigned long seed, unsigned long stream, unsigned long position,
                   unsigned *words) {
  unsigned c0 = (unsigned)position, c1 = (unsigned)(position >> 32);
  unsigned c2 = (unsigned)stream, c3 = (unsigned)(stream >> 32);
  unsigned k0 = (unsigned)seed, k1 = (unsigned)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    unsigned long p0 = 0xD2511F53ul * c0, p1 = 0xCD9E8D57ul * c2;
    c0 = (unsigned)(p1 >> 32) ^ c1 ^ k0;
    c1 = (unsigned)p1;
    c2 = (unsigned)(p0 >> 32) ^ c3 ^ k1;
    c3 = (unsigned)p0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

#ifndef __CUDACC__
DEVICE void sincospif(float x, float *sine, float *cosine) {
  *sine = (float)sin(M_PI * x);
  *cosine = (float)cos(M_PI * x);
}
#endif

/** A word as a number between 0 and 1, exactly. */
DEVICE float uniform_of(unsigned word) { return (float)(word >> 9) * 0x1p-23f + 0x1p-24f; }

enum { MAX_SEQUENCES = 48 };

typedef struct {
  float *y;
  long rows, length;
  long seeds[MAX_SEQUENCES], streams[MAX_SEQUENCES]; // of each row
  int fours;                                           // whether all rows are aligned
} Random;

/** Normal numbers, four from a block of Philox (Box and Muller 1958). */
KERNEL(random_normal, Random) {
  long blocks_in_row = (at.length + 3) / 4;
  FOR_EACH(i, at.rows * blocks_in_row) {
    long row = i / blocks_in_row, position = i % blocks_in_row;
    unsigned words[4];
    philox((unsigned long)at.seeds[row], (unsigned long)at.streams[row], (unsigned long)position,
           words);
    float radius0 = sqrtf(-2 * logf(uniform_of(words[0])));
    float radius1 = sqrtf(-2 * logf(uniform_of(words[2])));
    float4 normal;
    sincospif(2 * uniform_of(words[1]), &normal.y, &normal.x);
    sincospif(2 * uniform_of(words[3]), &normal.w, &normal.z);
    normal.x *= radius0;
    normal.y *= radius0;
    normal.z *= radius1;
    normal.w *= radius1;
    float *y = at.y + row * at.length + 4 * position;
    long left = at.length - 4 * position;
    if (at.fours) {
      *(float4 *)y = normal;
    } else {
      y[0] = normal.x;
      if (left > 1) y[1] = normal.y;
      if (left > 2) y[2] = normal.z;
      if (left > 3) y[3] = normal.w;
    }
  }
}
