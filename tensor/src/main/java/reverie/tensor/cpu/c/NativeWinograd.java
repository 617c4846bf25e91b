// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import java.lang.invoke.MethodHandle;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.simd.Convolution;
import reverie.tensor.cpu.simd.Products;
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
public final class NativeWinograd {
  /** Floats of a vector, or more: rows in scratch are rounded up to it. */
  private static final int VECTOR = 16;

  /** Output channels of a chunk of the filters' transform. */
  private static final int SIDE = 32;

  /** Floats of a chunk's tiles: few enough to stay in the cache beside filters and images. */
  private static final long NEAR = 75_000;

  /** Tiles that the kernel multiplies at a time; chunks are multiples of it. */
  private static final int TOGETHER = 14;

  /**
   * So few tiles make the points of the filters where they use them: to write them to memory and
   * read them again takes longer than to make them, and all of them take the room of the cache.
   */
  private static final int FEW_TILES = 16;

  /** Floats of tiles and of sums that are near in a chunk of the weight's gradient. */
  private static final long NEAR_SUMS = 150_000;

  /** Tiles below which a sum of their own does not pay for the weight's gradient. */
  private static final int LEAST_TILES = 128;

  /** Tiles of the weight's gradient that are multiplied at a time, at least. */
  private static final int LEAST_BLOCK = 28;

  /** Chunks that are wanted, so that threads end at about the same time. */
  private static final int WANTED = 8;

  /** Channels of a block of the weight's gradient; the sums of all its points stay near. */
  private static final int BLOCK = 64;

  /** Multiply-adds from which the transforms pay. */
  private static final long LEAST_PRODUCTS = 1 << 20;

  private final NativeProducts products;
  private final MethodHandle filters;
  private final MethodHandle tiles;
  private final MethodHandle weightGradient;

  /** Inputs of the largest tile, one way. */
  private final int mostSide;

  /**
   * Takes its functions from a library.
   *
   * @param products adds the parts of a gradient
   * @param exact whether to do without what costs accuracy: tiles of 4×4 outputs
   */
  public NativeWinograd(NativeLibrary library, NativeProducts products, boolean exact) {
    this.products = products;
    mostSide = exact ? 4 : 6;
    filters = library.function("winograd_filters", "pillillp");
    tiles = library.function("winograd_tiles", "ppippppp" + "llllli" + "llp");
    weightGradient = library.function("winograd_weight_gradient", "ppp" + "llllli" + "lllllllp");
  }

  /** Whether a convolution is of this kind, and large enough. */
  public static boolean fits(Convolution.Form f) {
    return f.kh() == 3
        && f.kw() == 3
        && f.stride() == 1
        && f.padding() <= 2
        && (long) f.n() * f.oh() * f.ow() * f.cin() * f.cout() * f.taps() >= LEAST_PRODUCTS;
  }

  /** Inputs of a tile, one way: those of 4 or of 2 outputs, whatever multiplies less. */
  private int side(int h, int w) {
    long large = 36L * ((h + 3) / 4) * ((w + 3) / 4);
    long small = 16L * ((h + 1) / 2) * ((w + 1) / 2);
    return large <= small ? mostSide : 4;
  }

  private static int tiles(int t, int n, int h, int w) {
    int m = t - 2;
    return n * ((h + m - 1) / m) * ((w + m - 1) / m);
  }

  private static int rounded(int channels) {
    return (channels + VECTOR - 1) / VECTOR * VECTOR;
  }

  /** Each of the three does nothing and returns false if the convolution does not fit. */
  public boolean forward(Parallel parallel, Conv2d op, Tensor[] inputs, Tensor y) {
    Tensor weight = inputs[1];
    Convolution.Form f =
        Products.form(op.stride(), op.padding(), inputs[0], weight.dim(0), weight.dim(1), y);
    if (!fits(f)) {
      return false;
    }
    convolve(
        parallel,
        new Images(f.n(), f.h(), f.w(), f.cin(), f.cout(), f.padding()),
        false,
        address(inputs[0]),
        address(weight),
        added(inputs),
        address(y));
    return true;
  }

  /** Addresses of a bias [cout], a bias [n, cout] and a residual like y, or 0. */
  public static long[] added(Tensor[] inputs) {
    long[] added = new long[3];
    if (inputs.length > 2) {
      added[inputs[2].shape().rank() - 1] = address(inputs[2]);
    }
    if (inputs.length > 3) {
      added[2] = address(inputs[3]);
    }
    return added;
  }

  /** A convolution of dy with the kernel turned by 180 degrees and transposed. */
  public boolean inputGradient(
      Parallel parallel, Conv2dInputGradient op, Tensor[] inputs, Tensor dx) {
    Tensor dy = inputs[0];
    Tensor weight = inputs[1];
    Convolution.Form f =
        Products.form(op.stride(), op.padding(), dx, weight.dim(0), weight.dim(1), dy);
    if (!fits(f)) {
      return false;
    }
    convolve(
        parallel,
        new Images(f.n(), f.oh(), f.ow(), f.cout(), f.cin(), 2 - f.padding()),
        true,
        address(dy),
        address(weight),
        new long[3],
        address(dx));
    return true;
  }

  /** Images that go in, channels that come out. */
  public record Images(int n, int h, int w, int cin, int cout, int padding) {
    int oh() {
      return h + 2 * padding - 2;
    }

    int ow() {
      return w + 2 * padding - 2;
    }
  }

  private void convolve(
      Parallel parallel, Images s, boolean turned, long x, long weight, long[] added, long y) {
    int t = side(s.oh(), s.ow());
    int points = t * t;
    int wide = rounded(s.cin) + Math.max(SIDE, rounded(s.cout));
    int all = tiles(t, s.n, s.oh(), s.ow());
    boolean few = all <= FEW_TILES;
    long rows = few ? all : Math.max(1, NEAR / points / wide / TOGETHER) * TOGETHER;
    int panels = (s.cout + SIDE - 1) / SIDE;
    int turn = turned ? 1 : 0;
    try (Scratch scratch = Scratch.frame()) {
      long u = few ? 0 : scratch.floats((long) points * panels * ((long) s.cin * SIDE + VECTOR));
      if (!few) {
        parallel.forEach(
            panels,
            i -> {
              long first = (long) i * SIDE;
              long end = Math.min(s.cout, first + SIDE);
              try {
                filters.invokeExact(weight, turn, (long) s.cin, (long) s.cout, t, first, end, u);
              } catch (Throwable e) {
                throw NativeLibrary.failure(e);
              }
            });
      }
      long floats = points * (rows * wide + 34L * SIDE) + rounded(s.cin);
      parallel.forEach(
          (int) ((all + rows - 1) / rows),
          i -> {
            try (Scratch mine = Scratch.frame()) {
              long room = mine.floats(floats);
              long first = rows * i;
              try {
                tiles.invokeExact(
                    x,
                    weight,
                    turn,
                    u,
                    added[0],
                    added[1],
                    added[2],
                    y,
                    (long) s.h,
                    (long) s.w,
                    (long) s.cin,
                    (long) s.cout,
                    (long) s.padding,
                    t,
                    first,
                    Math.min(all, first + rows),
                    room);
              } catch (Throwable e) {
                throw NativeLibrary.failure(e);
              }
            }
          });
    }
  }

  /** Blocks of channels and ranges of tiles, whose parts are added in their order. */
  public boolean weightGradient(
      Parallel parallel, Conv2dWeightGradient op, Tensor[] inputs, Tensor dweight) {
    Convolution.Form f =
        Products.form(
            op.stride(), op.padding(), inputs[0], dweight.dim(0), dweight.dim(1), inputs[1]);
    if (!fits(f)) {
      return false;
    }
    weightGradient(parallel, f, address(inputs[0]), address(inputs[1]), address(dweight));
    return true;
  }

  private void weightGradient(
      Parallel parallel, Convolution.Form f, long x, long dy, long dweight) {
    int t = side(f.oh(), f.ow());
    int points = t * t;
    int all = tiles(t, f.n(), f.oh(), f.ow());
    int inBlocks = (f.cin() + BLOCK - 1) / BLOCK;
    int outBlocks = (f.cout() + BLOCK - 1) / BLOCK;
    int pairs = inBlocks * outBlocks;
    int ranges = Math.clamp((WANTED + pairs - 1) / pairs, 1, Math.max(1, all / LEAST_TILES));
    int wide = rounded(Math.min(BLOCK, f.cin())) + rounded(Math.min(BLOCK, f.cout()));
    long near = Math.max(LEAST_BLOCK, NEAR_SUMS / points / wide);
    long size = (long) f.taps() * f.cin() * f.cout();
    try (Scratch scratch = Scratch.frame()) {
      long parts = ranges == 1 ? dweight : scratch.floats(ranges * size);
      parallel.forEach(
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
              try {
                weightGradient.invokeExact(
                    x,
                    dy,
                    parts + 4 * range * size,
                    (long) f.h(),
                    (long) f.w(),
                    (long) f.cin(),
                    (long) f.cout(),
                    (long) f.padding(),
                    t,
                    (long) all * range / ranges,
                    (long) all * (range + 1) / ranges,
                    near,
                    cinFirst,
                    inputs,
                    coutFirst,
                    outputs,
                    room);
              } catch (Throwable e) {
                throw NativeLibrary.failure(e);
              }
            }
          });
      if (ranges > 1) {
        products.sum(parallel, parts, ranges, size, dweight);
      }
    }
  }
}
