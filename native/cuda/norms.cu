// SPDX-License-Identifier: Apache-2.0
//
// Normalisation over groups of channels (Wu and He 2018) and its gradient. Images are matrices of
// pixels and channels. Small ones are gone through at once; of others, what belongs to the pixels
// of a piece is found first, channel by channel, and then brought together in a fixed order.
#include "sums.h"

typedef struct {
  Source x;
  float *means, *deviations; // [n, pieces, c]
  Columns columns;
} ChannelMoments;

/** Of four channels: their means, and the sums of squared deviations from them. */
typedef struct {
  float4 mean, deviation;
} Moments;

/**
 * The moments of a thread's channels in its piece, for all its lanes. Both come from differences to
 * the first pixel: as one of those that are summed, it is never so far from their mean that their
 * variance would be lost, however large the mean is.
 */
DEVICE Moments moments_in(const Source *x, const Columns *all, const Place *place) {
  float4 first = four(0), sum = first, squares = first;
  long start = place->row - place->lane, count = place->end - start;
  if (place->columns > 0 && count > 0) {
    first = first_read(x, first_in(all, place, start), place->columns, all->aligned);
  }
  for (long row = place->row; row < place->end; row += all->lanes) {
    float4 own = first_own(x, first_in(all, place, row), place->columns, all->aligned);
    float4 d = sub_fours(own, first);
    sum = add_fours(sum, d);
    squares = add_fours(squares, mul_fours(d, d));
  }
  sum = lanes_sum(all, place, sum);
  squares = lanes_sum(all, place, squares);
  float4 mean = mul_fours(sum, four(1.0f / count));
  Moments moments = {add_fours(first, mean), sub_fours(squares, mul_fours(sum, mean))};
  return moments;
}

KERNEL(channel_moments, ChannelMoments) {
  const Columns *all = &at.columns;
  Place place = place_in(all);
  Moments moments = moments_in(&at.x, all, &place);
  if (place.lane > 0 || place.columns <= 0) return;
  long to = place.part * all->c + place.column;
  store_four(at.means + to, moments.mean, place.columns, all->aligned);
  store_four(at.deviations + to, moments.deviation, place.columns, all->aligned);
}

typedef struct {
  const float *means, *deviations; // [n, pieces, c]
  float *mean, *rstd;              // [n, groups]
  long n, pixels, piece;
  int c, groups, pieces, lanes;
  float epsilon;
} GroupStatistics;

DEVICE float pixels_of(const GroupStatistics *at, int piece) {
  long rest = at->pixels - piece * at->piece;
  return rest < at->piece ? rest : at->piece;
}

KERNEL(group_statistics, GroupStatistics) {
  int width = at.c / at.groups, lane = thread() % at.lanes;
  FOR_EACH_ROW(group, at.n * at.groups, at.lanes) {
    int some = group < at.n * at.groups ? at.pieces * width : 0;
    long start = group / at.groups * at.pieces * at.c + group % at.groups * width;
    float first = some ? at.means[start] : 0, sum = 0, squares = 0;
    for (int i = lane; i < some; i += at.lanes) {
      float mean = at.means[start + (long)(i / width) * at.c + i % width];
      sum += pixels_of(&at, i / width) * (mean - first);
    }
    float count = (float)at.pixels * width;
    float mean = first + row_sum(sum, at.lanes) / count;
    for (int i = lane; i < some; i += at.lanes) {
      long from = start + (long)(i / width) * at.c + i % width;
      float d = at.means[from] - mean;
      squares += at.deviations[from] + pixels_of(&at, i / width) * (d * d);
    }
    squares = row_sum(squares, at.lanes);
    if (lane == 0 && group < at.n * at.groups) {
      at.mean[group] = mean;
      at.rstd[group] = 1 / sqrtf(squares / count + at.epsilon);
    }
  }
}

/** What belongs to the groups of a thread's channels, of values[n, groups]. */
DEVICE float4 of_groups(const float *values, const Columns *all, const Place *place, int groups) {
  int width = all->c / groups, c = place->column, last = all->c - 1;
  values += place->matrix * groups;
  float4 own = four(values[c / width]);
  if (c < last) own.y = values[(c + 1) / width];
  if (c + 1 < last) own.z = values[(c + 2) / width];
  if (c + 2 < last) own.w = values[(c + 3) / width];
  return own;
}

DEVICE float4 of_channels(const float *values, const Place *place) {
  return load_four(values + place->column, place->columns, 0);
}

DEVICE float4 silu_fours(float4 x) {
  float4 y = {silu_at(x.x), silu_at(x.y), silu_at(x.z), silu_at(x.w)};
  return y;
}

DEVICE float4 silu_slopes(float4 x) {
  float4 y = {silu_slope(x.x), silu_slope(x.y), silu_slope(x.z), silu_slope(x.w)};
  return y;
}

typedef struct {
  Source x;
  const float *gamma, *beta;
  Result y;
  float *mean, *rstd;
  int groups, silu;
  float epsilon;
  Columns columns;
} GroupNormed;

/** y = (x - mean) rstd gamma + beta, or silu of it. */
DEVICE void normalise(const GroupNormed *at, const Place *place, float4 mean, float4 rstd) {
  const Columns *all = &at->columns;
  float4 factor = mul_fours(rstd, of_channels(at->gamma, place));
  float4 beta = of_channels(at->beta, place);
  for (long row = place->row; row < place->end; row += all->lanes) {
    long from = first_in(all, place, row);
    float4 x = read_again(&at->x, from, place->columns, all->aligned);
    float4 y = add_fours(mul_fours(sub_fours(x, mean), factor), beta);
    if (at->silu) y = silu_fours(y);
    put_results(at->y, from, y, place->columns, all->aligned);
  }
}

/** With statistics that are known. */
KERNEL(group_norm, GroupNormed) {
  Place place = place_in(&at.columns);
  if (place.columns <= 0) return;
  float4 mean = of_groups(at.mean, &at.columns, &place, at.groups);
  normalise(&at, &place, mean, of_groups(at.rstd, &at.columns, &place, at.groups));
}

/** What the channels of a block's tiles have, as one number each, for all its threads. */
typedef struct {
  const float *a, *b;
  int shift, width; // shift: from a channel to its place in a and b; width: channels of a group
} Tile;

DEVICE Tile shared_in_tile(float4 a, float4 b, const Place *place, int width) {
  SHARED float4 all_a[THREADS], all_b[THREADS];
  if (place->lane == 0) {
    all_a[place->quad] = a;
    all_b[place->quad] = b;
  }
  barrier();
  Tile tile = {(const float *)all_a, (const float *)all_b, 4 * place->quad - place->column, width};
  return tile;
}

typedef struct {
  float a, b;
} Pair;

/** `pair` for the group of each of a thread's channels; the last one goes on behind the last. */
#define PAIRS_OF_GROUPS(name, pair, Arguments)                                                \
  DEVICE void name(const Arguments *at, const Place *place, Tile tile, float4 *a, float4 *b) { \
    int c = place->column, last = place->column + place->columns;                             \
    Pair own = pair(at, place, tile, c);                                                      \
    a->x = own.a, b->x = own.b;                                                               \
    if (++c < last && c % tile.width == 0) own = pair(at, place, tile, c);                    \
    a->y = own.a, b->y = own.b;                                                               \
    if (++c < last && c % tile.width == 0) own = pair(at, place, tile, c);                    \
    a->z = own.a, b->z = own.b;                                                               \
    if (++c < last && c % tile.width == 0) own = pair(at, place, tile, c);                    \
    a->w = own.a, b->w = own.b;                                                               \
  }

/** Mean and 1/sqrt(variance + epsilon) of the group of a channel; whose first it is, writes. */
DEVICE Pair statistics_of(const GroupNormed *at, const Place *place, Tile tile, int channel) {
  int group = channel / tile.width, start = group * tile.width + tile.shift;
  float first = tile.a[start], sum = 0, squares = 0, pixels = at->columns.rows;
  for (int i = start; i < start + tile.width; i++) sum += tile.a[i] - first;
  float mean = first + sum / tile.width;
  for (int i = start; i < start + tile.width; i++) {
    squares += tile.b[i] + pixels * ((tile.a[i] - mean) * (tile.a[i] - mean));
  }
  Pair own = {mean, 1 / sqrtf(squares / (pixels * tile.width) + at->epsilon)};
  if (place->lane == 0 && channel % tile.width == 0) {
    at->mean[place->matrix * at->groups + group] = own.a;
    at->rstd[place->matrix * at->groups + group] = own.b;
  }
  return own;
}
PAIRS_OF_GROUPS(statistics_of_groups, statistics_of, GroupNormed)

/** All at once: tiles of whole groups, each with all pixels of an image. */
KERNEL(group_norm_at_once, GroupNormed) {
  Place place = place_in(&at.columns);
  Moments own = moments_in(&at.x, &at.columns, &place);
  Tile tile = shared_in_tile(own.mean, own.deviation, &place, at.columns.c / at.groups);
  if (place.columns <= 0) return;
  float4 mean, rstd;
  statistics_of_groups(&at, &place, tile, &mean, &rstd);
  normalise(&at, &place, mean, rstd);
}

typedef struct {
  const float *x, *gamma, *beta, *mean, *rstd, *dy;
  const float *means;     // [2, n, groups]: of g and of g x^, see below
  Result dx;
  float *sums, *products; // [n, pieces, c]: of dz and of dz x^
  int groups, silu;
  Columns columns;
} GroupGradient;

/** What of the gradient belongs to a thread's channels: x^ = (x - mean) rstd. */
typedef struct {
  float4 mean, rstd, gamma, beta;
} Channels;

DEVICE Channels channels_of(const GroupGradient *at, const Place *place) {
  Channels own = {four(0), four(0), four(0), four(0)};
  if (place->columns <= 0) return own;
  own.mean = of_groups(at->mean, &at->columns, place, at->groups);
  own.rstd = of_groups(at->rstd, &at->columns, place, at->groups);
  own.gamma = of_channels(at->gamma, place);
  if (at->silu) own.beta = of_channels(at->beta, place);
  return own;
}

/** dz: the gradient of what the activation is applied to. */
DEVICE float4 before_activation(float4 dy, float4 normal, const Channels *own, int silu) {
  if (!silu) return dy;
  return mul_fours(dy, silu_slopes(add_fours(mul_fours(normal, own->gamma), own->beta)));
}

/** Sums of dz and of dz x^ down a thread's channels, for all lanes; also into memory. */
DEVICE void sums_of(const GroupGradient *at, const Place *place, const Channels *own, float4 *sum,
                    float4 *product) {
  const Columns *all = &at->columns;
  for (long row = place->row; row < place->end; row += all->lanes) {
    long from = first_in(all, place, row);
    float4 x = load_four(at->x + from, place->columns, all->aligned);
    float4 dy = load_four(at->dy + from, place->columns, all->aligned);
    float4 normal = mul_fours(sub_fours(x, own->mean), own->rstd);
    float4 dz = before_activation(dy, normal, own, at->silu);
    *sum = add_fours(*sum, dz);
    *product = add_fours(*product, mul_fours(dz, normal));
  }
  *sum = lanes_sum(all, place, *sum);
  *product = lanes_sum(all, place, *product);
  if (place->lane > 0 || place->columns <= 0) return;
  long to = place->part * all->c + place->column;
  store_four(at->sums + to, *sum, place->columns, 0);
  store_four(at->products + to, *product, place->columns, 0);
}

KERNEL(group_norm_gradient_sums, GroupGradient) {
  Place place = place_in(&at.columns);
  Channels own = channels_of(&at, &place);
  float4 sum = four(0), product = sum;
  sums_of(&at, &place, &own, &sum, &product);
}

typedef struct {
  const float *gamma, *sums, *products;
  float *means; // [2, n, groups]
  long n, pixels;
  int c, groups, pieces, lanes;
} GroupMeans;

/** Means over each group of g = dz gamma and of g x^. */
KERNEL(group_norm_gradient_means, GroupMeans) {
  int width = at.c / at.groups, lane = thread() % at.lanes;
  long all = at.n * at.groups;
  FOR_EACH_ROW(group, all, at.lanes) {
    int some = group < all ? at.pieces * width : 0, channel = group % at.groups * width;
    long start = group / at.groups * at.pieces * at.c + channel;
    float sum = 0, product = 0;
    for (int i = lane; i < some; i += at.lanes) {
      long from = start + (long)(i / width) * at.c + i % width;
      float gamma = at.gamma[channel + i % width];
      sum += gamma * at.sums[from];
      product += gamma * at.products[from];
    }
    float count = (float)at.pixels * width;
    sum = row_sum(sum, at.lanes) / count;
    product = row_sum(product, at.lanes) / count;
    if (lane == 0 && group < all) {
      at.means[group] = sum;
      at.means[all + group] = product;
    }
  }
}

/** dx = rstd (g - mean(g) - x^ mean(g x^)). */
DEVICE void gradient(const GroupGradient *at, const Place *place, const Channels *own, float4 mean,
                     float4 product) {
  const Columns *all = &at->columns;
  for (long row = place->row; row < place->end; row += all->lanes) {
    long from = first_in(all, place, row);
    float4 x = load_four(at->x + from, place->columns, all->aligned);
    float4 dy = load_four(at->dy + from, place->columns, all->aligned);
    float4 normal = mul_fours(sub_fours(x, own->mean), own->rstd);
    float4 g = mul_fours(before_activation(dy, normal, own, at->silu), own->gamma);
    float4 dx = mul_fours(own->rstd, sub_fours(sub_fours(g, mean), mul_fours(normal, product)));
    put_results(at->dx, from, dx, place->columns, all->aligned);
  }
}

/** With means that are known. */
KERNEL(group_norm_gradient, GroupGradient) {
  const Columns *all = &at.columns;
  Place place = place_in(all);
  if (place.columns <= 0) return;
  Channels own = channels_of(&at, &place);
  float4 mean = of_groups(at.means, all, &place, at.groups);
  float4 product = of_groups(at.means + all->matrices * at.groups, all, &place, at.groups);
  gradient(&at, &place, &own, mean, product);
}

DEVICE Pair means_of(const GroupGradient *at, const Place *place, Tile tile, int channel) {
  int start = channel / tile.width * tile.width + tile.shift;
  float count = (float)at->columns.rows * tile.width;
  Pair own = {0, 0};
  (void)place;
  for (int i = start; i < start + tile.width; i++) {
    own.a += tile.a[i];
    own.b += tile.b[i];
  }
  own.a /= count;
  own.b /= count;
  return own;
}
PAIRS_OF_GROUPS(means_of_groups, means_of, GroupGradient)

/** All at once, but for the sums over images, as group_norm_at_once. */
KERNEL(group_norm_gradient_at_once, GroupGradient) {
  Place place = place_in(&at.columns);
  Channels own = channels_of(&at, &place);
  float4 sum = four(0), product = sum;
  sums_of(&at, &place, &own, &sum, &product);
  Tile tile = shared_in_tile(mul_fours(sum, own.gamma), mul_fours(product, own.gamma), &place,
                             at.columns.c / at.groups);
  if (place.columns <= 0) return;
  float4 mean_g, mean_product;
  means_of_groups(&at, &place, tile, &mean_g, &mean_product);
  gradient(&at, &place, &own, mean_g, mean_product);
}
