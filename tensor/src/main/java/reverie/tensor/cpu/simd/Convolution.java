// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.simd.Vectors.BYTES;

import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;

/**
 * Convolution of NHWC images with HWIO kernels, and both its gradients, as matrix products over
 * tables of addresses: each row of A is a pixel, each segment of the sum a tap of the kernel, so
 * patches are never copied.
 */
public final class Convolution {
  private Convolution() {}

  /** Sizes of x, weight and y. */
  public record Form(
      int n,
      int h,
      int w,
      int cin,
      int kh,
      int kw,
      int oh,
      int ow,
      int cout,
      int stride,
      int padding) {
    public boolean pointwise() {
      return kh == 1 && kw == 1 && stride == 1 && padding == 0;
    }

    public int taps() {
      return kh * kw;
    }
  }

  /** y = x ∗ weight (+ bias, if its address is not 0). */
  public static void forward(Parallel parallel, Form f, long x, long weight, long bias, long y) {
    int pixels = f.n * f.oh * f.ow;
    int k = f.taps() * f.cin;
    if (f.pointwise()) {
      Gemm.multiply(
          parallel,
          new Gemm.Form(pixels, f.cout, f.cin, 4L * f.cin, 4, 4L * f.cout, 4, 4L * f.cout, bias),
          new long[] {x},
          new long[] {weight},
          new long[] {y});
      return;
    }
    try (Scratch scratch = Scratch.frame()) {
      Right right;
      if (Right.inPlace(4L * f.cout, 4, f.cout)) {
        right = Right.inPlace(weight, 4L * f.cout);
      } else {
        right = Right.packed(scratch.bytes(Right.packedBytes(k, f.cout)), k);
        parallel.forEach(
            Right.panels(f.cout), panel -> right.pack(panel, weight, 4L * f.cout, 4, 0, k, f.cout));
      }
      image(parallel, f, x, f.cin, right, new Result(y, 4L * f.cout, bias, pixels, f.cout), true);
    }
  }

  /** dx from dy: every input pixel gathers the output pixels it took part in. */
  public static void inputGradient(Parallel parallel, Form f, long dy, long weight, long dx) {
    int pixels = f.n * f.h * f.w;
    int k = f.taps() * f.cout;
    if (f.pointwise()) {
      Gemm.multiply(
          parallel,
          new Gemm.Form(pixels, f.cin, f.cout, 4L * f.cout, 4, 4, 4L * f.cout, 4L * f.cin, 0),
          new long[] {dy},
          new long[] {weight},
          new long[] {dx});
      return;
    }
    try (Scratch scratch = Scratch.frame()) {
      Right right = Right.packed(scratch.bytes(Right.packedBytes(k, f.cin)), k);
      int panels = Right.panels(f.cin);
      parallel.forEach(
          panels * f.taps(),
          i -> {
            int tap = i / panels;
            long source = weight + 4L * tap * f.cin * f.cout;
            right.pack(i % panels, source, 4, 4L * f.cout, tap * f.cout, f.cout, f.cin);
          });
      image(parallel, f, dy, f.cout, right, new Result(dx, 4L * f.cin, 0, pixels, f.cin), false);
    }
  }

  private static void image(
      Parallel parallel,
      Form f,
      long source,
      int channels,
      Right right,
      Result result,
      boolean forward) {
    int pieces = Math.max(1, (channels + Left.DEPTH - 1) / Left.DEPTH);
    int entries = f.taps() * pieces;
    int group = Math.max(1, pieces > 1 ? 1 : Left.MOST_DEPTH / Math.max(1, channels));
    Gemm.blocks(
        parallel,
        result,
        (tile, end, panel, panelEnd, spare) -> {
          Scratch scratch = Scratch.current();
          long zeros = scratch.floats(channels);
          Memory.zero(zeros, 4L * channels);
          long table = scratch.bytes((end - tile) * entries * Tile.ENTRY);
          for (int t = tile; t < end; t++) {
            int first = result.firstRow(t);
            for (int r = 0; r < Tile.ROWS; r++) {
              int pixel = Math.min(first + r, result.m() - 1);
              long at = table + (long) (t - tile) * entries * Tile.ENTRY + 8 * r;
              if (forward) {
                sources(f, source, zeros, pixel, pieces, at);
              } else {
                readers(f, source, zeros, pixel, pieces, at);
              }
            }
            for (int e = 0; e < entries; e++) {
              int piece = e % pieces;
              Left.finish(
                  table + ((long) (t - tile) * entries + e) * Tile.ENTRY,
                  ((long) (e / pieces) * channels + piece * Left.DEPTH) * right.step(),
                  Math.min(Left.DEPTH, channels - piece * Left.DEPTH));
            }
          }
          Left left = new Left(table, entries * Tile.ENTRY, entries, group, 0, 4);
          result.compute(left, right, tile, end, panel, panelEnd, spare);
        });
  }

  /** Addresses of the input pixels under each tap for one output pixel. */
  private static void sources(Form f, long x, long zeros, int pixel, int pieces, long at) {
    int left = pixel % f.ow * f.stride - f.padding;
    int top = pixel / f.ow % f.oh * f.stride - f.padding;
    long image = x + 4L * (pixel / (f.ow * f.oh)) * f.h * f.w * f.cin;
    window(f, image, f.h, f.w, f.cin, zeros, top, left, 1, pieces, at);
  }

  /** Addresses of the output pixels that read one input pixel through each tap. */
  private static void readers(Form f, long dy, long zeros, int pixel, int pieces, long at) {
    int right = pixel % f.w + f.padding;
    int bottom = pixel / f.w % f.h + f.padding;
    long image = dy + 4L * (pixel / (f.w * f.h)) * f.oh * f.ow * f.cout;
    if (f.stride == 1) {
      window(f, image, f.oh, f.ow, f.cout, zeros, bottom, right, -1, pieces, at);
      return;
    }
    for (int i = 0; i < f.kh; i++) {
      int y = bottom - i;
      boolean row = y >= 0 && y % f.stride == 0 && y / f.stride < f.oh;
      for (int j = 0; j < f.kw; j++) {
        int x = right - j;
        boolean inside = row && x >= 0 && x % f.stride == 0 && x / f.stride < f.ow;
        long offset = ((long) (y / f.stride) * f.ow + x / f.stride) * f.cout;
        at = put(at, inside ? image + 4 * offset : zeros, pieces);
      }
    }
  }

  /** Addresses of neighbouring pixels, row by row from a corner, forwards or backwards. */
  private static void window(
      Form f,
      long image,
      int h,
      int w,
      int c,
      long zeros,
      int y0,
      int x0,
      int step,
      int pieces,
      long at) {
    for (int i = 0; i < f.kh; i++) {
      int y = y0 + i * step;
      boolean row = y >= 0 && y < h;
      long first = image + 4L * y * w * c;
      for (int j = 0; j < f.kw; j++) {
        int x = x0 + j * step;
        at = put(at, row && x >= 0 && x < w ? first + 4L * x * c : zeros, pieces);
      }
    }
  }

  private static long put(long at, long address, int pieces) {
    for (int p = 0; p < pieces; p++) {
      Memory.setLong(at, address + 4L * p * Left.DEPTH);
      at += Tile.ENTRY;
    }
    return at;
  }

  /** dweight: for each tap, the sum over pixels of input channels times output channels. */
  public static void weightGradient(Parallel parallel, Form f, long x, long dy, long dweight) {
    if (f.pointwise()) {
      Gemm.multiply(
          parallel,
          new Gemm.Form(
              f.cin, f.cout, f.n * f.h * f.w, 4, 4L * f.cin, 4L * f.cout, 4, 4L * f.cout, 0),
          new long[] {x},
          new long[] {dy},
          new long[] {dweight});
      return;
    }
    try (Scratch scratch = Scratch.frame()) {
      int k = f.n * f.oh * f.ow;
      Right right;
      if (Right.inPlace(4L * f.cout, 4, f.cout)) {
        right = Right.inPlace(dy, 4L * f.cout);
      } else {
        right = Right.packed(scratch.bytes(Right.packedBytes(k, f.cout)), k);
        int panels = Right.panels(f.cout);
        int rows = f.oh * f.ow;
        parallel.forEach(
            panels * f.n,
            i ->
                right.pack(
                    i % panels,
                    dy + 4L * (i / panels) * rows * f.cout,
                    4L * f.cout,
                    4,
                    i / panels * rows,
                    rows,
                    f.cout));
      }
      int parts =
          Math.clamp(
              4 * parallel.threads() / f.taps(),
              1,
              Math.max(1, (f.cin + Tile.ROWS - 1) / Tile.ROWS));
      parallel.forEach(
          f.taps() * parts, i -> tap(f, x, right, dweight, i / parts, i % parts, parts));
    }
  }

  private static void tap(Form f, long x, Right right, long dweight, int tap, int part, int parts) {
    try (Scratch scratch = Scratch.frame()) {
      int i = tap / f.kw;
      int j = tap % f.kw;
      // Output columns whose tap lies inside the image, the same for every row.
      int from = Math.max(0, (f.padding - j + f.stride - 1) / f.stride);
      int to = Math.min(f.ow, Math.floorDiv(f.w - 1 + f.padding - j, f.stride) + 1);
      long table = scratch.bytes(Math.max(1, f.n * f.oh) * Tile.ENTRY);
      int entries = 0;
      for (int image = 0; image < f.n && from < to; image++) {
        for (int oy = 0; oy < f.oh; oy++) {
          int iy = oy * f.stride + i - f.padding;
          if (iy < 0 || iy >= f.h) {
            continue;
          }
          long pixel =
              x + 4L * (((long) image * f.h + iy) * f.w + from * f.stride + j - f.padding) * f.cin;
          long entry = table + entries++ * Tile.ENTRY;
          for (int r = 0; r < Tile.ROWS; r++) {
            Memory.setLong(entry + 8 * r, pixel + 4L * Math.min(r, f.cin - 1));
          }
          Left.finish(entry, (((long) image * f.oh + oy) * f.ow + from) * right.step(), to - from);
        }
      }
      if (entries == 0) {
        Memory.zero(dweight + 4L * tap * f.cin * f.cout, 4L * f.cin * f.cout);
      } else {
        int group = Math.max(1, Left.MOST_DEPTH / (to - from));
        Left left = new Left(table, 0, entries, group, 4, 4L * f.cin * f.stride);
        Result result =
            new Result(dweight + 4L * tap * f.cin * f.cout, 4L * f.cout, 0, f.cin, f.cout);
        int first = result.tiles() * part / parts;
        int end = result.tiles() * (part + 1) / parts;
        result.compute(
            left, right, first, end, 0, Right.panels(f.cout), scratch.bytes(2 * BYTES * Tile.ROWS));
      }
    }
  }
}
