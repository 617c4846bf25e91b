// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.c.WinogradConvolution.ImageShape;
import reverie.tensor.cpu.kernel.ConvShape;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;

/**
 * Convolution with 3×3 kernels of stride 1 and both its gradients on the tile unit, by its
 * definition: {@code amx_conv.c}, {@code amx_conv_gradient.c}. Where rows are too short for a tile
 * the pixels of several images are interleaved.
 */
final class TileConvolution {
  /** Pixels beside each other in a tile. */
  private static final int TILE = 16;

  /** Channels of a block, to which both sides are rounded up. */
  private static final int BLOCK = 32;

  /** Bytes of split images that stay in the second-level cache beside the filters. */
  private static final long CACHE_BYTES = 600_000;

  /** Positions that are worth a range of the weight's gradient. */
  private static final long POSITIONS_PER_RANGE = 4096;

  private static final int MAX_RANGES = 8;

  /** Input channels from which bf16x3 is faster than Winograd's transforms. */
  private static final int MIN_FORWARD_CHANNELS = 128;

  private static final int TAPS = 9;

  private final TileKernels kernels;
  private final PartialSums partialSums;

  TileConvolution(TileKernels kernels, PartialSums partialSums) {
    this.kernels = kernels;
    this.partialSums = partialSums;
  }

  /** Images whose pixels are interleaved, so that rows have whole tiles. */
  private static int interleaved(int width) {
    return TILE / Math.min(TILE, Integer.lowestOneBit(width));
  }

  private static long up(long channels) {
    return (channels + BLOCK - 1) / BLOCK * BLOCK;
  }

  /** Whether this is of use for outputs, or gradients of inputs, so wide. */
  private static boolean fits(ConvShape f, int width) {
    return WinogradConvolution.fits(f)
        && Math.min(f.cin(), f.cout()) >= BLOCK
        && interleaved(width) <= TILE / 4;
  }

  /** Each of the three does nothing and returns false if the convolution does not fit. */
  boolean forward(Parallel parallel, Conv2d op, Tensor[] inputs, Tensor y) {
    Tensor weight = inputs[1];
    ConvShape f = ConvShape.of(op, inputs, y);
    if (!fits(f, f.ow()) || f.cin() < MIN_FORWARD_CHANNELS) {
      return false;
    }
    convolve(
        parallel,
        new ImageShape(f.n(), f.h(), f.w(), f.cin(), f.cout(), f.padding()),
        false,
        Precision.BF16X3,
        address(inputs[0]),
        address(weight),
        WinogradConvolution.added(inputs),
        address(y));
    return true;
  }

  boolean inputGradient(Parallel parallel, Conv2dInputGradient op, Tensor[] inputs, Tensor dx) {
    Tensor dy = inputs[0];
    Tensor weight = inputs[1];
    ConvShape f = ConvShape.of(op, inputs, dx);
    if (!fits(f, f.w())) {
      return false;
    }
    convolve(
        parallel,
        new ImageShape(f.n(), f.oh(), f.ow(), f.cout(), f.cin(), 2 - f.padding()),
        true,
        Precision.BF16X2,
        address(dy),
        address(weight),
        new long[3],
        address(dx));
    return true;
  }

  private void convolve(
      Parallel parallel,
      ImageShape s,
      boolean flipped,
      Precision precision,
      long x,
      long weight,
      long[] added,
      long y) {
    int terms = precision.terms();
    int flip = flipped ? 1 : 0;
    try (Scratch scratch = Scratch.frame()) {
      long split = scratch.bytes(2L * TAPS * terms * up(s.cin()) * up(s.cout()));
      parallel.parallelFor(
          Math.toIntExact(up(s.cout()) / BLOCK),
          i -> {
            long first = (long) i * BLOCK;
            long end = Math.min(s.cout(), first + BLOCK);
            kernels.filters.run(
                weight, flip, (long) s.cin(), (long) s.cout(), terms, first, end, split);
          });
      int interleaved = interleaved(s.ow());
      long row = 2L * terms * (s.ow() + 2L) * interleaved * up(s.cin());
      int rows = rows(s.oh(), CACHE_BYTES / row - 2);
      int bands = (s.oh() + rows - 1) / rows;
      parallel.parallelFor(
          (s.n() + interleaved - 1) / interleaved * bands,
          i -> {
            long first = (long) i % bands * rows;
            try (Scratch mine = Scratch.frame()) {
              long room = mine.bytes((rows + 2) * row);
              kernels.convolve.run(
                  x,
                  split,
                  added[0],
                  added[1],
                  added[2],
                  y,
                  s.n(),
                  s.h(),
                  s.w(),
                  s.cin(),
                  s.cout(),
                  s.padding(),
                  interleaved,
                  terms,
                  (long) i / bands,
                  first,
                  Math.min(s.oh(), first + rows),
                  room);
            }
          });
    }
  }

  /** Rows of a band, as even as bands can be and an even number, so that tiles are pairs. */
  private static int rows(int height, long max) {
    long bands = (height + Math.max(2, max) - 1) / Math.max(2, max);
    return Math.toIntExact(((height + bands - 1) / bands + 1) / 2 * 2);
  }

  /** Ranges of bands, whose parts are added in their order. */
  boolean weightGradient(
      Parallel parallel, Conv2dWeightGradient op, Tensor[] inputs, Tensor dweight) {
    ConvShape f = ConvShape.of(op, inputs);
    if (!fits(f, f.ow())) {
      return false;
    }
    int interleaved = interleaved(f.ow());
    long wide = (long) f.ow() * interleaved;
    long row = 2 * up(f.cin()) * (wide + 2L * interleaved) + up(f.cout()) * wide;
    int rows = rows(f.oh(), CACHE_BYTES / 4 / row - 1);
    int strips = (f.n() + interleaved - 1) / interleaved;
    int bands = strips * ((f.oh() + rows - 1) / rows);
    long positions = (long) f.n() * f.oh() * f.ow();
    int ranges = Math.clamp(positions / POSITIONS_PER_RANGE, 1, Math.min(bands, MAX_RANGES));
    long size = TAPS * (long) f.cin() * f.cout();
    long floats = TAPS * up(f.cin()) * up(f.cout()) + (rows + 1) * row;
    long x = address(inputs[0]);
    long dy = address(inputs[1]);
    try (Scratch scratch = Scratch.frame()) {
      long parts = ranges == 1 ? address(dweight) : scratch.floats(ranges * size);
      parallel.parallelFor(
          ranges,
          i -> {
            try (Scratch mine = Scratch.frame()) {
              long room = mine.floats(floats);
              kernels.weightGradient.run(
                  x,
                  dy,
                  parts + 4 * i * size,
                  f.n(),
                  f.h(),
                  f.w(),
                  f.cin(),
                  f.cout(),
                  f.padding(),
                  interleaved,
                  rows,
                  (long) bands * i / ranges,
                  (long) bands * (i + 1) / ranges,
                  room);
            }
          });
      if (ranges > 1) {
        partialSums.add(parallel, parts, ranges, size, address(dweight));
      }
    }
    return true;
  }
}
