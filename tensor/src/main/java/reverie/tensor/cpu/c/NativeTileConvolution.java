// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import java.lang.invoke.MethodHandle;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.c.NativeTiles.Planes;
import reverie.tensor.cpu.c.NativeWinograd.Images;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.simd.Convolution;
import reverie.tensor.cpu.simd.Products;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;

/**
 * Convolution with 3×3 kernels of stride 1 and both its gradients on the tile unit, by its
 * definition: {@code amx_conv.c}, {@code amx_conv_gradient.c}. Where rows are too short for a tile
 * the pixels of several images take turns.
 */
public final class NativeTileConvolution {
  /** Pixels beside each other in a tile. */
  private static final int TILE = 16;

  /** Channels of a block, to which both sides are rounded up. */
  private static final int BLOCK = 32;

  /** Bytes of cut images that stay in the second-level cache beside the filters. */
  private static final long NEAR = 600_000;

  /** Positions that are worth a piece of the weight's gradient. */
  private static final long PIECE = 4096;

  private static final int MOST_PIECES = 8;

  /** Input channels from which three planes are faster than Winograd's transforms. */
  private static final int LEAST_FORWARD = 128;

  private static final int TAPS = 9;

  private final NativeProducts products;
  private final MethodHandle filters;
  private final MethodHandle convolve;
  private final MethodHandle weightGradient;

  public NativeTileConvolution(NativeLibrary library, NativeProducts products) {
    this.products = products;
    filters = library.function("amx_conv_filters", "pilllllp");
    convolve = library.function("amx_conv", "pppppp" + "lllllllllll" + "p");
    weightGradient = library.function("amx_conv_weight_gradient", "ppp" + "llllllllll" + "p");
  }

  /** Images whose pixels take turns, so that rows have whole tiles. */
  private static int together(int width) {
    return TILE / Math.min(TILE, Integer.lowestOneBit(width));
  }

  private static long up(long channels) {
    return (channels + BLOCK - 1) / BLOCK * BLOCK;
  }

  /** Whether this is of use for outputs, or gradients of inputs, so wide. */
  private static boolean fits(Convolution.Form f, int width) {
    return NativeWinograd.fits(f)
        && Math.min(f.cin(), f.cout()) >= BLOCK
        && together(width) <= TILE / 4;
  }

  /** Each of the three does nothing and returns false if the convolution does not fit. */
  public boolean forward(Parallel parallel, Conv2d op, Tensor[] inputs, Tensor y) {
    Tensor weight = inputs[1];
    Convolution.Form f =
        Products.form(op.stride(), op.padding(), inputs[0], weight.dim(0), weight.dim(1), y);
    if (!fits(f, f.ow()) || f.cin() < LEAST_FORWARD) {
      return false;
    }
    convolve(
        parallel,
        new Images(f.n(), f.h(), f.w(), f.cin(), f.cout(), f.padding()),
        false,
        Planes.THREE,
        address(inputs[0]),
        address(weight),
        NativeWinograd.added(inputs),
        address(y));
    return true;
  }

  public boolean inputGradient(
      Parallel parallel, Conv2dInputGradient op, Tensor[] inputs, Tensor dx) {
    Tensor dy = inputs[0];
    Tensor weight = inputs[1];
    Convolution.Form f =
        Products.form(op.stride(), op.padding(), dx, weight.dim(0), weight.dim(1), dy);
    if (!fits(f, f.w())) {
      return false;
    }
    convolve(
        parallel,
        new Images(f.n(), f.oh(), f.ow(), f.cout(), f.cin(), 2 - f.padding()),
        true,
        Planes.TWO,
        address(dy),
        address(weight),
        new long[3],
        address(dx));
    return true;
  }

  private void convolve(
      Parallel parallel,
      Images s,
      boolean turned,
      Planes planes,
      long x,
      long weight,
      long[] added,
      long y) {
    int count = planes.count();
    int turn = turned ? 1 : 0;
    try (Scratch scratch = Scratch.frame()) {
      long cut = scratch.bytes(2L * TAPS * count * up(s.cin()) * up(s.cout()));
      parallel.forEach(
          Math.toIntExact(up(s.cout()) / BLOCK),
          i -> {
            long first = (long) i * BLOCK;
            long end = Math.min(s.cout(), first + BLOCK);
            try {
              filters.invokeExact(
                  weight, turn, (long) s.cin(), (long) s.cout(), (long) count, first, end, cut);
            } catch (Throwable e) {
              throw NativeLibrary.failure(e);
            }
          });
      int together = together(s.ow());
      long row = 2L * count * (s.ow() + 2L) * together * up(s.cin());
      int rows = rows(s.oh(), NEAR / row - 2);
      int bands = (s.oh() + rows - 1) / rows;
      parallel.forEach(
          (s.n() + together - 1) / together * bands,
          i -> {
            long first = (long) i % bands * rows;
            try (Scratch mine = Scratch.frame()) {
              long room = mine.bytes((rows + 2) * row);
              try {
                convolve.invokeExact(
                    x,
                    cut,
                    added[0],
                    added[1],
                    added[2],
                    y,
                    (long) s.n(),
                    (long) s.h(),
                    (long) s.w(),
                    (long) s.cin(),
                    (long) s.cout(),
                    (long) s.padding(),
                    (long) together,
                    (long) count,
                    (long) i / bands,
                    first,
                    Math.min(s.oh(), first + rows),
                    room);
              } catch (Throwable e) {
                throw NativeLibrary.failure(e);
              }
            }
          });
    }
  }

  /** Rows of a band, as even as bands can be and an even number, so that tiles are pairs. */
  private static int rows(int height, long most) {
    long bands = (height + Math.max(2, most) - 1) / Math.max(2, most);
    return Math.toIntExact(((height + bands - 1) / bands + 1) / 2 * 2);
  }

  /** Ranges of bands, whose parts are added in their order. */
  public boolean weightGradient(
      Parallel parallel, Conv2dWeightGradient op, Tensor[] inputs, Tensor dweight) {
    Convolution.Form f =
        Products.form(
            op.stride(), op.padding(), inputs[0], dweight.dim(0), dweight.dim(1), inputs[1]);
    if (!fits(f, f.ow())) {
      return false;
    }
    int together = together(f.ow());
    long wide = (long) f.ow() * together;
    long row = 2 * up(f.cin()) * (wide + 2L * together) + up(f.cout()) * wide;
    int rows = rows(f.oh(), NEAR / 4 / row - 1);
    int strips = (f.n() + together - 1) / together;
    int bands = strips * ((f.oh() + rows - 1) / rows);
    long positions = (long) f.n() * f.oh() * f.ow();
    int pieces = Math.clamp(positions / PIECE, 1, Math.min(bands, MOST_PIECES));
    long size = TAPS * (long) f.cin() * f.cout();
    long floats = TAPS * up(f.cin()) * up(f.cout()) + (rows + 1) * row;
    long x = address(inputs[0]);
    long dy = address(inputs[1]);
    try (Scratch scratch = Scratch.frame()) {
      long parts = pieces == 1 ? address(dweight) : scratch.floats(pieces * size);
      parallel.forEach(
          pieces,
          i -> {
            try (Scratch mine = Scratch.frame()) {
              long room = mine.floats(floats);
              try {
                weightGradient.invokeExact(
                    x,
                    dy,
                    parts + 4 * i * size,
                    (long) f.n(),
                    (long) f.h(),
                    (long) f.w(),
                    (long) f.cin(),
                    (long) f.cout(),
                    (long) f.padding(),
                    (long) together,
                    (long) rows,
                    (long) bands * i / pieces,
                    (long) bands * (i + 1) / pieces,
                    room);
              } catch (Throwable e) {
                throw NativeLibrary.failure(e);
              }
            }
          });
      if (pieces > 1) {
        products.sum(parallel, parts, pieces, size, address(dweight));
      }
    }
    return true;
  }
}
