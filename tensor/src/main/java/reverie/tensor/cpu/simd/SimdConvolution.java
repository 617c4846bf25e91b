// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.simd;

import static reverie.tensor.cpu.memory.Memory.address;
import static reverie.tensor.cpu.simd.Vectors.BYTES;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.ConvShape;
import reverie.tensor.cpu.kernel.ConvolutionKernels;
import reverie.tensor.cpu.kernel.Elementwise;
import reverie.tensor.cpu.kernel.GemmShape;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;

/**
 * Convolution of NHWC images with HWIO kernels, and both its gradients, as matrix products over
 * tables of addresses: each row of A is a pixel, each segment of the sum a tap of the kernel, so
 * patches are never copied.
 */
final class SimdConvolution implements ConvolutionKernels {
  private final Elementwise elementwise;

  SimdConvolution(Elementwise elementwise) {
    this.elementwise = elementwise;
  }

  @Override
  public void forward(Parallel parallel, Conv2d op, Tensor[] inputs, Tensor[] outputs) {
    Tensor y = outputs[0];
    boolean perImage = inputs.length > 2 && inputs[2].shape().rank() == 2;
    forward(
        parallel,
        ConvShape.of(op, inputs, y),
        address(inputs[0]),
        address(inputs[1]),
        inputs.length > 2 && !perImage ? address(inputs[2]) : 0,
        address(y));
    if (perImage) {
      elementwise.add(parallel, y, address(inputs[2]), y.dim(0), 1, 1, y.dim(3));
    }
    if (inputs.length > 3) {
      elementwise.add(parallel, y, address(inputs[3]), y.shape().dims());
    }
  }

  @Override
  public void inputGradient(
      Parallel parallel, Conv2dInputGradient op, Tensor[] inputs, Tensor[] outputs) {
    inputGradient(
        parallel,
        ConvShape.of(op, inputs, outputs[0]),
        address(inputs[0]),
        address(inputs[1]),
        address(outputs[0]));
  }

  @Override
  public void weightGradient(
      Parallel parallel, Conv2dWeightGradient op, Tensor[] inputs, Tensor[] outputs) {
    weightGradient(
        parallel,
        ConvShape.of(op, inputs),
        address(inputs[0]),
        address(inputs[1]),
        address(outputs[0]));
  }

  /** y = x ∗ weight (+ bias, if its address is not 0). */
  private static void forward(
      Parallel parallel, ConvShape f, long x, long weight, long bias, long y) {
    int pixels = f.n() * f.oh() * f.ow();
    int k = f.taps() * f.cin();
    if (f.pointwise()) {
      Gemm.multiply(
          parallel,
          new GemmShape(pixels, f.cout(), f.cin(), f.cin(), 1, f.cout(), 1),
          new long[] {x},
          new long[] {weight},
          bias,
          new long[] {y});
      return;
    }
    try (Scratch scratch = Scratch.frame()) {
      Right right;
      if (Right.inPlace(4L * f.cout(), 4, f.cout())) {
        right = Right.inPlace(weight, 4L * f.cout());
      } else {
        right = Right.packed(scratch.bytes(Right.packedBytes(k, f.cout())), k);
        parallel.parallelFor(
            Right.panels(f.cout()),
            panel -> right.pack(panel, weight, 4L * f.cout(), 4, 0, k, f.cout()));
      }
      image(
          parallel,
          f,
          x,
          f.cin(),
          right,
          new Result(y, 4L * f.cout(), bias, pixels, f.cout()),
          true);
    }
  }

  /** dx from dy: every input pixel gathers the output pixels it took part in. */
  private static void inputGradient(Parallel parallel, ConvShape f, long dy, long weight, long dx) {
    int pixels = f.n() * f.h() * f.w();
    int k = f.taps() * f.cout();
    if (f.pointwise()) {
      Gemm.multiply(
          parallel,
          new GemmShape(pixels, f.cin(), f.cout(), f.cout(), 1, 1, f.cout()),
          new long[] {dy},
          new long[] {weight},
          0,
          new long[] {dx});
      return;
    }
    try (Scratch scratch = Scratch.frame()) {
      Right right = Right.packed(scratch.bytes(Right.packedBytes(k, f.cin())), k);
      int panels = Right.panels(f.cin());
      parallel.parallelFor(
          panels * f.taps(),
          i -> {
            int tap = i / panels;
            long source = weight + 4L * tap * f.cin() * f.cout();
            right.pack(i % panels, source, 4, 4L * f.cout(), tap * f.cout(), f.cout(), f.cin());
          });
      image(
          parallel,
          f,
          dy,
          f.cout(),
          right,
          new Result(dx, 4L * f.cin(), 0, pixels, f.cin()),
          false);
    }
  }

  private static void image(
      Parallel parallel,
      ConvShape f,
      long source,
      int channels,
      Right right,
      Result result,
      boolean forward) {
    int segments = Math.max(1, (channels + Left.DEPTH - 1) / Left.DEPTH);
    int entries = f.taps() * segments;
    int group = Math.max(1, segments > 1 ? 1 : Left.MAX_DEPTH / Math.max(1, channels));
    Gemm.blocks(
        parallel,
        result,
        (tile, end, panel, panelEnd, spare) -> {
          Scratch scratch = Scratch.current();
          long zeros = scratch.floats(channels);
          Memory.zero(zeros, 4L * channels);
          long table = scratch.bytes((end - tile) * entries * MicroKernel.ENTRY);
          for (int t = tile; t < end; t++) {
            int first = result.firstRow(t);
            for (int r = 0; r < MicroKernel.ROWS; r++) {
              int pixel = Math.min(first + r, result.m() - 1);
              long at = table + (long) (t - tile) * entries * MicroKernel.ENTRY + 8 * r;
              if (forward) {
                sources(f, source, zeros, pixel, segments, at);
              } else {
                readers(f, source, zeros, pixel, segments, at);
              }
            }
            for (int e = 0; e < entries; e++) {
              int segment = e % segments;
              Left.finish(
                  table + ((long) (t - tile) * entries + e) * MicroKernel.ENTRY,
                  ((long) (e / segments) * channels + segment * Left.DEPTH) * right.step(),
                  Math.min(Left.DEPTH, channels - segment * Left.DEPTH));
            }
          }
          Left left = new Left(table, entries * MicroKernel.ENTRY, entries, group, 0, 4);
          result.compute(left, right, tile, end, panel, panelEnd, spare);
        });
  }

  /** Addresses of the input pixels under each tap for one output pixel. */
  private static void sources(ConvShape f, long x, long zeros, int pixel, int segments, long at) {
    int left = pixel % f.ow() * f.stride() - f.padding();
    int top = pixel / f.ow() % f.oh() * f.stride() - f.padding();
    long image = x + 4L * (pixel / (f.ow() * f.oh())) * f.h() * f.w() * f.cin();
    window(f, image, f.h(), f.w(), f.cin(), zeros, top, left, 1, segments, at);
  }

  /** Addresses of the output pixels that read one input pixel through each tap. */
  private static void readers(ConvShape f, long dy, long zeros, int pixel, int segments, long at) {
    int right = pixel % f.w() + f.padding();
    int bottom = pixel / f.w() % f.h() + f.padding();
    long image = dy + 4L * (pixel / (f.w() * f.h())) * f.oh() * f.ow() * f.cout();
    if (f.stride() == 1) {
      window(f, image, f.oh(), f.ow(), f.cout(), zeros, bottom, right, -1, segments, at);
      return;
    }
    for (int i = 0; i < f.kh(); i++) {
      int y = bottom - i;
      boolean row = y >= 0 && y % f.stride() == 0 && y / f.stride() < f.oh();
      for (int j = 0; j < f.kw(); j++) {
        int x = right - j;
        boolean inside = row && x >= 0 && x % f.stride() == 0 && x / f.stride() < f.ow();
        long offset = ((long) (y / f.stride()) * f.ow() + x / f.stride()) * f.cout();
        at = put(at, inside ? image + 4 * offset : zeros, segments);
      }
    }
  }

  /** Addresses of neighbouring pixels, row by row from a corner, forwards or backwards. */
  private static void window(
      ConvShape f,
      long image,
      int h,
      int w,
      int c,
      long zeros,
      int y0,
      int x0,
      int step,
      int segments,
      long at) {
    for (int i = 0; i < f.kh(); i++) {
      int y = y0 + i * step;
      boolean row = y >= 0 && y < h;
      long first = image + 4L * y * w * c;
      for (int j = 0; j < f.kw(); j++) {
        int x = x0 + j * step;
        at = put(at, row && x >= 0 && x < w ? first + 4L * x * c : zeros, segments);
      }
    }
  }

  private static long put(long at, long address, int segments) {
    for (int p = 0; p < segments; p++) {
      Memory.setLong(at, address + 4L * p * Left.DEPTH);
      at += MicroKernel.ENTRY;
    }
    return at;
  }

  /** dweight: for each tap, the sum over pixels of input channels times output channels. */
  private static void weightGradient(
      Parallel parallel, ConvShape f, long x, long dy, long dweight) {
    if (f.pointwise()) {
      Gemm.multiply(
          parallel,
          new GemmShape(f.cin(), f.cout(), f.n() * f.h() * f.w(), 1, f.cin(), f.cout(), 1),
          new long[] {x},
          new long[] {dy},
          0,
          new long[] {dweight});
      return;
    }
    try (Scratch scratch = Scratch.frame()) {
      int k = f.n() * f.oh() * f.ow();
      Right right;
      if (Right.inPlace(4L * f.cout(), 4, f.cout())) {
        right = Right.inPlace(dy, 4L * f.cout());
      } else {
        right = Right.packed(scratch.bytes(Right.packedBytes(k, f.cout())), k);
        int panels = Right.panels(f.cout());
        int rows = f.oh() * f.ow();
        parallel.parallelFor(
            panels * f.n(),
            i ->
                right.pack(
                    i % panels,
                    dy + 4L * (i / panels) * rows * f.cout(),
                    4L * f.cout(),
                    4,
                    i / panels * rows,
                    rows,
                    f.cout()));
      }
      int parts =
          Math.clamp(
              Gemm.TARGET_TASKS / f.taps(),
              1,
              Math.max(1, (f.cin() + MicroKernel.ROWS - 1) / MicroKernel.ROWS));
      parallel.parallelFor(
          f.taps() * parts, i -> tap(f, x, right, dweight, i / parts, i % parts, parts));
    }
  }

  private static void tap(
      ConvShape f, long x, Right right, long dweight, int tap, int part, int parts) {
    try (Scratch scratch = Scratch.frame()) {
      int i = tap / f.kw();
      int j = tap % f.kw();
      // Output columns whose tap lies inside the image, the same for every row.
      int from = Math.max(0, (f.padding() - j + f.stride() - 1) / f.stride());
      int to = Math.min(f.ow(), Math.floorDiv(f.w() - 1 + f.padding() - j, f.stride()) + 1);
      long table = scratch.bytes(Math.max(1, f.n() * f.oh()) * MicroKernel.ENTRY);
      int entries = 0;
      for (int image = 0; image < f.n() && from < to; image++) {
        for (int oy = 0; oy < f.oh(); oy++) {
          int iy = oy * f.stride() + i - f.padding();
          if (iy < 0 || iy >= f.h()) {
            continue;
          }
          long pixel =
              x
                  + 4L
                      * (((long) image * f.h() + iy) * f.w() + from * f.stride() + j - f.padding())
                      * f.cin();
          long entry = table + entries++ * MicroKernel.ENTRY;
          for (int r = 0; r < MicroKernel.ROWS; r++) {
            Memory.setLong(entry + 8 * r, pixel + 4L * Math.min(r, f.cin() - 1));
          }
          Left.finish(
              entry, (((long) image * f.oh() + oy) * f.ow() + from) * right.step(), to - from);
        }
      }
      if (entries == 0) {
        Memory.zero(dweight + 4L * tap * f.cin() * f.cout(), 4L * f.cin() * f.cout());
      } else {
        int group = Math.max(1, Left.MAX_DEPTH / (to - from));
        Left left = new Left(table, 0, entries, group, 4, 4L * f.cin() * f.stride());
        Result result =
            new Result(
                dweight + 4L * tap * f.cin() * f.cout(), 4L * f.cout(), 0, f.cin(), f.cout());
        int first = result.tiles() * part / parts;
        int end = result.tiles() * (part + 1) / parts;
        result.compute(
            left,
            right,
            first,
            end,
            0,
            Right.panels(f.cout()),
            scratch.bytes(2 * BYTES * MicroKernel.ROWS));
      }
    }
  }
}
