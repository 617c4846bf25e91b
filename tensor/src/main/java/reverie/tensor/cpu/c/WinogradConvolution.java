// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.ConvShape;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;

/**
 * Convolution with 3×3 kernels of stride 1 and both its gradients: {@code winograd.c}, {@code
 * winograd_gradient.c}.
 *
 * <p>Tiles of 4×4 outputs take a quarter of a direct convolution's multiplications, tiles of 2×2
 * four ninths; the latter are taken for images where the larger tiles would hang over the edge. One
 * NaN or infinity makes NaN of all outputs of the tiles that it is in.
 */
final class WinogradConvolution {
  /** Floats of a vector, or more: rows in scratch are rounded up to it. */
  private static final int VECTOR = 16;

  /** Output channels of a task of the filters' transform. */
  private static final int SIDE = 32;

  /** Floats of a task's tiles: few enough to stay in the cache beside filters and images. */
  private static final long CACHE_FLOATS = 75_000;

  /** Tiles that the kernel multiplies at a time; tasks are multiples of it. */
  private static final int TILES_PER_PRODUCT = 14;

  /** Floats of filters' points that are in no near cache, and products that read them once. */
  private static final long LARGE_FILTERS = 1 << 21;

  private static final int PRODUCTS_OF_LARGE_FILTERS = 3;

  /**
   * So few tiles make the points of the filters where they use them: to write them to memory and
   * read them again takes longer than to make them.
   */
  private static final int FEW_TILES = 16;

  /** The same of filters that fill the last cache. */
  private static final int FEW_TILES_OF_HUGE_FILTERS = 64;

  private static final long HUGE_FILTERS = 1 << 23;

  /** Floats of filters' points in memory at once; outputs whose filters have more take turns. */
  private static final long MAX_FILTERS = 1 << 23;

  /** Floats of tiles and of sums that are in the cache in a task of the weight's gradient. */
  private static final long CACHE_SUM_FLOATS = 150_000;

  /** Tiles below which a sum of their own does not pay for the weight's gradient. */
  private static final int MIN_TILES = 128;

  /** Tiles of the weight's gradient that are multiplied at a time, at least. */
  private static final int MIN_BLOCK = 28;

  /** Tasks that there should be, so that threads end at about the same time. */
  private static final int TARGET_TASKS = 8;

  /** Channels of a block of the weight's gradient; the sums of all its points stay near. */
  private static final int BLOCK = 64;

  /** Multiply-adds from which the transforms pay. */
  private static final long MIN_PRODUCTS = 1 << 20;

  private final Kernels kernels;
  private final PartialSums partialSums;

  /** Inputs of the largest tile, one way. */
  private final int maxSide;

  /** With {@code exact} tiles of 4×4 outputs, which cost accuracy, are not used. */
  WinogradConvolution(Kernels kernels, PartialSums partialSums, boolean exact) {
    this.kernels = kernels;
    this.partialSums = partialSums;
    maxSide = exact ? 4 : 6;
  }

  /** Whether a convolution is of this kind, and large enough. */
  static boolean fits(ConvShape f) {
    return f.kh() == 3
        && f.kw() == 3
        && f.stride() == 1
        && f.padding() <= 2
        && (long) f.n() * f.oh() * f.ow() * f.cin() * f.cout() * f.taps() >= MIN_PRODUCTS;
  }

  /** Inputs of a tile, one way: those of 4 or of 2 outputs, whatever multiplies less. */
  private int side(int h, int w) {
    long large = 36L * ((h + 3) / 4) * ((w + 3) / 4);
    long small = 16L * ((h + 1) / 2) * ((w + 1) / 2);
    return large <= small ? maxSide : 4;
  }

  private static int tiles(int t, int n, int h, int w) {
    int m = t - 2;
    return n * ((h + m - 1) / m) * ((w + m - 1) / m);
  }

  private static int rounded(int channels) {
    return (channels + VECTOR - 1) / VECTOR * VECTOR;
  }

  /** Each of the three does nothing and returns false if the convolution does not fit. */
  boolean forward(Parallel parallel, Conv2d op, Tensor[] inputs, Tensor y) {
    Tensor weight = inputs[1];
    ConvShape f = ConvShape.of(op, inputs, y);
    if (!fits(f)) {
      return false;
    }
    convolve(
        parallel,
        new ImageShape(f.n(), f.h(), f.w(), f.cin(), f.cout(), f.padding()),
        false,
        address(inputs[0]),
        address(weight),
        added(inputs),
        address(y));
    return true;
  }

  /** Addresses of a bias [cout], a bias [n, cout] and a residual like y, or 0. */
  static long[] added(Tensor[] inputs) {
    long[] added = new long[3];
    if (inputs.length > 2) {
      added[inputs[2].shape().rank() - 1] = address(inputs[2]);
    }
    if (inputs.length > 3) {
      added[2] = address(inputs[3]);
    }
    return added;
  }

  /** A convolution of dy with the kernel flipped by 180 degrees and transposed. */
  boolean inputGradient(Parallel parallel, Conv2dInputGradient op, Tensor[] inputs, Tensor dx) {
    Tensor dy = inputs[0];
    Tensor weight = inputs[1];
    ConvShape f = ConvShape.of(op, inputs, dx);
    if (!fits(f)) {
      return false;
    }
    convolve(
        parallel,
        new ImageShape(f.n(), f.oh(), f.ow(), f.cout(), f.cin(), 2 - f.padding()),
        true,
        address(dy),
        address(weight),
        new long[3],
        address(dx));
    return true;
  }

  /** Images that go in, channels that come out. */
  record ImageShape(int n, int h, int w, int cin, int cout, int padding) {
    int oh() {
      return h + 2 * padding - 2;
    }

    int ow() {
      return w + 2 * padding - 2;
    }
  }

  private void convolve(
      Parallel parallel, ImageShape s, boolean flipped, long x, long weight, long[] added, long y) {
    int t = side(s.oh(), s.ow());
    int points = t * t;
    int all = tiles(t, s.n, s.oh(), s.ow());
    long filters = (long) points * s.cin * s.cout;
    boolean few = all <= (filters > HUGE_FILTERS ? FEW_TILES_OF_HUGE_FILTERS : FEW_TILES);
    int wide = rounded(s.cin) + Math.max(SIDE, few ? 0 : rounded(s.cout));
    boolean large = filters > LARGE_FILTERS;
    // Products of tiles; a task has some of them.
    int products = (all + TILES_PER_PRODUCT - 1) / TILES_PER_PRODUCT;
    int inCache = (int) (CACHE_FLOATS / points / wide / TILES_PER_PRODUCT);
    int atOnce = few ? products : Math.max(inCache, large ? PRODUCTS_OF_LARGE_FILTERS : 1);
    int parts = (products + atOnce - 1) / atOnce;
    int panels = (s.cout + SIDE - 1) / SIDE;
    long panelFloats = points * ((long) s.cin * SIDE + VECTOR);
    int round = few ? panels : Math.clamp(MAX_FILTERS / panelFloats, 1, panels);
    long tiles = Math.min(all, (long) atOnce * TILES_PER_PRODUCT);
    long floats = points * (tiles * wide + 34L * SIDE) + rounded(s.cin);
    int flip = flipped ? 1 : 0;
    try (Scratch scratch = Scratch.frame()) {
      long room = few ? 0 : scratch.floats(round * panelFloats);
      for (int start = 0; start < panels; start += round) {
        int from = start;
        int count = Math.min(round, panels - from);
        // Where the first of all panels would be.
        long u = few ? 0 : room - Float.BYTES * from * panelFloats;
        if (!few) {
          parallel.parallelFor(
              count,
              i -> {
                long first = (long) (from + i) * SIDE;
                long end = Math.min(s.cout, first + SIDE);
                kernels.winogradFilters.run(
                    weight, flip, (long) s.cin, (long) s.cout, t, first, end, u);
              });
        }
        int ranges = large ? Math.clamp(2 * TARGET_TASKS / parts, 1, count) : 1;
        parallel.parallelFor(
            parts * ranges,
            i -> {
              try (Scratch mine = Scratch.frame()) {
                int part = i / ranges;
                int range = i % ranges;
                kernels.winogradTiles.run(
                    x,
                    weight,
                    flip,
                    u,
                    added[0],
                    added[1],
                    added[2],
                    y,
                    s.h,
                    s.w,
                    s.cin,
                    s.cout,
                    s.padding,
                    t,
                    (long) part * products / parts * TILES_PER_PRODUCT,
                    Math.min(all, (part + 1L) * products / parts * TILES_PER_PRODUCT),
                    (from + (long) range * count / ranges) * SIDE,
                    Math.min(s.cout, (from + (range + 1L) * count / ranges) * SIDE),
                    mine.floats(floats));
              }
            });
      }
    }
  }

  /** Blocks of channels and ranges of tiles, whose parts are added in their order. */
  boolean weightGradient(
      Parallel parallel, Conv2dWeightGradient op, Tensor[] inputs, Tensor dweight) {
    ConvShape f = ConvShape.of(op, inputs);
    if (!fits(f)) {
      return false;
    }
    weightGradient(parallel, f, address(inputs[0]), address(inputs[1]), address(dweight));
    return true;
  }

  private void weightGradient(Parallel parallel, ConvShape f, long x, long dy, long dweight) {
    int t = side(f.oh(), f.ow());
    int points = t * t;
    int all = tiles(t, f.n(), f.oh(), f.ow());
    int inBlocks = (f.cin() + BLOCK - 1) / BLOCK;
    int outBlocks = (f.cout() + BLOCK - 1) / BLOCK;
    int pairs = inBlocks * outBlocks;
    int ranges = Math.clamp((TARGET_TASKS + pairs - 1) / pairs, 1, Math.max(1, all / MIN_TILES));
    int wide = rounded(Math.min(BLOCK, f.cin())) + rounded(Math.min(BLOCK, f.cout()));
    long near = Math.max(MIN_BLOCK, CACHE_SUM_FLOATS / points / wide);
    long size = (long) f.taps() * f.cin() * f.cout();
    try (Scratch scratch = Scratch.frame()) {
      long parts = ranges == 1 ? dweight : scratch.floats(ranges * size);
      parallel.parallelFor(
          pairs * ranges,
          i -> {
            int in = i % inBlocks;
            int out = i / inBlocks % outBlocks;
            int range = i / pairs;
            long cinFirst = (long) f.cin() * in / inBlocks;
            long coutFirst = (long) f.cout() * out / outBlocks;
            long inputs = (long) f.cin() * (in + 1) / inBlocks - cinFirst;
            long outputs = (long) f.cout() * (out + 1) / outBlocks - coutFirst;
            try (Scratch mine = Scratch.frame()) {
              long room =
                  mine.floats(
                      points * (inputs * rounded((int) outputs) + near * wide + 3L * VECTOR)
                          + wide);
              kernels.winogradWeightGradient.run(
                  x,
                  dy,
                  parts + 4 * range * size,
                  f.h(),
                  f.w(),
                  f.cin(),
                  f.cout(),
                  f.padding(),
                  t,
                  (long) all * range / ranges,
                  (long) all * (range + 1) / ranges,
                  near,
                  cinFirst,
                  inputs,
                  coutFirst,
                  outputs,
                  room);
            }
          });
      if (ranges > 1) {
        partialSums.add(parallel, parts, ranges, size, dweight);
      }
    }
  }
}
