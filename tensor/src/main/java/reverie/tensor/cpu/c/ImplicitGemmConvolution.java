// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu.c;

import static reverie.tensor.cpu.memory.Memory.address;

import reverie.tensor.Tensor;
import reverie.tensor.cpu.kernel.ConvolutionKernels;
import reverie.tensor.cpu.kernel.GemmShape;
import reverie.tensor.cpu.memory.Memory;
import reverie.tensor.cpu.memory.Scratch;
import reverie.tensor.cpu.threads.Parallel;
import reverie.tensor.op.Conv2d;
import reverie.tensor.op.Conv2dInputGradient;
import reverie.tensor.op.Conv2dWeightGradient;

/**
 * Convolutions of any kernel and stride as matrix products of windows: {@code implicit_gemm.c}.
 * With kernels of one pixel there is nothing to copy, and {@link NativeMatrices} multiplies the
 * images.
 */
final class ImplicitGemmConvolution implements ConvolutionKernels {
  private static final long TASK_FLOPS = 3_000_000;
  private static final int MAX_TASKS = 32;
  private static final int PANEL = 32;

  /** Fewer windows than this are not worth a sum of their own for the weight's gradient. */
  private static final int MIN_WINDOWS = 512;

  private final Kernels kernels;
  private final NativeMatrices products;
  private final PartialSums partialSums;

  ImplicitGemmConvolution(Kernels kernels, NativeMatrices products, PartialSums partialSums) {
    this.kernels = kernels;
    this.products = products;
    this.partialSums = partialSums;
  }

  /**
   * Where windows lie on images [n, h, w, channels]: the C structure of the same name, and n.
   *
   * @param step pixels between neighbouring taps, 1 or −1
   */
  private record Windows(
      int n,
      long h,
      long w,
      long channels,
      long rows,
      long cols,
      long stride,
      long top,
      long left,
      long ytaps,
      long xtaps,
      long step) {
    static final int BYTES = 11 * 8;

    static Windows of(int stride, int padding, Tensor x, Tensor weight, Tensor y) {
      return of(stride, padding, x, weight.dim(0), weight.dim(1), y);
    }

    static Windows of(int stride, int padding, Tensor x, int kh, int kw, Tensor y) {
      return new Windows(
          x.dim(0), x.dim(1), x.dim(2), x.dim(3), y.dim(1), y.dim(2), stride, -padding, -padding,
          kh, kw, 1);
    }

    long count() {
      return n * rows * cols;
    }

    long taps() {
      return ytaps * xtaps * channels;
    }

    long scratch(long columns) {
      return (1 << 18) + 16 * (taps() + 32) + 256 * (columns + 32);
    }

    /** Tasks that one product for every window is divided into. */
    int tasks(long columns) {
      return Math.clamp(2 * count() * taps() * columns / TASK_FLOPS, 1, MAX_TASKS);
    }

    /** Copies the fields to where C reads them. */
    long write(Scratch scratch) {
      long at = scratch.bytes(BYTES);
      long to = put(at, h, w, channels, rows);
      to = put(to, cols, stride, top, left);
      Memory.setLong(to, ytaps);
      Memory.setLong(to + 8, xtaps);
      Memory.setLong(to + 16, step);
      return at;
    }

    private static long put(long to, long a, long b, long c, long d) {
      Memory.setLong(to, a);
      Memory.setLong(to + 8, b);
      Memory.setLong(to + 16, c);
      Memory.setLong(to + 24, d);
      return to + 32;
    }
  }

  /** Where the windows' results go, in floats from the first one's. */
  private record Out(long address, long image, long row, long pixel) {}

  /** What is added: addresses or 0. */
  private record Added(long bias, long biasImage, long residual) {
    static final Added NOTHING = new Added(0, 0, 0);
  }

  @Override
  public void forward(Parallel parallel, Conv2d op, Tensor[] inputs, Tensor[] outputs) {
    Tensor y = outputs[0];
    if (y.size() == 0) {
      return;
    }
    Tensor x = inputs[0];
    Tensor weight = inputs[1];
    Windows f = Windows.of(op.stride(), op.padding(), x, weight, y);
    int n = y.dim(3);
    long bias = inputs.length > 2 ? address(inputs[2]) : 0;
    boolean perImage = bias != 0 && inputs[2].shape().rank() == 2;
    long residual = inputs.length > 3 ? address(inputs[3]) : 0;
    if (pointwise(op.stride(), op.padding(), weight) && !perImage) {
      int k = x.dim(3);
      products.multiply(
          parallel,
          new GemmShape((int) f.count(), n, k, k, 1, n, 1),
          Precision.BF16X3,
          address(x),
          address(weight),
          address(y),
          bias,
          residual);
      return;
    }
    try (Scratch scratch = Scratch.frame()) {
      boolean inPlace = NativeMatrices.inPlace(n, n);
      long weights = inPlace ? address(weight) : scratch.floats(f.taps() * (n + PANEL));
      if (!inPlace) {
        long from = address(weight);
        int columns = NativeMatrices.columns(f.taps());
        parallel.parallelFor(
            (n + columns - 1) / columns,
            i ->
                products.pack(from, n, 1, f.taps(), n, 0, f.taps(), i * columns, columns, weights));
      }
      Out out = new Out(address(y), f.rows * f.cols * n, f.cols * n, n);
      Added added = new Added(bias, perImage ? n : 0, residual);
      long images = address(x);
      int tasks = f.tasks(n);
      parallel.parallelFor(
          tasks, i -> windows(f, images, weights, !inPlace, n, out, added, i, tasks));
    }
  }

  private static boolean pointwise(int stride, int padding, Tensor weight) {
    return stride == 1 && padding == 0 && weight.dim(0) == 1 && weight.dim(1) == 1;
  }

  private void windows(
      Windows f,
      long images,
      long weights,
      boolean packed,
      long n,
      Out out,
      Added added,
      long index,
      long tasks) {
    try (Scratch scratch = Scratch.frame()) {
      long shape = f.write(scratch);
      long first = index * f.count() / tasks;
      long end = (index + 1) * f.count() / tasks;
      kernels.implicitGemm.run(
          shape,
          images,
          weights,
          packed ? 1 : 0,
          n,
          out.address,
          out.image,
          out.row,
          out.pixel,
          added.bias,
          added.biasImage,
          added.residual,
          first,
          end,
          scratch.floats(f.scratch(n)));
    }
  }

  /**
   * dx from dy. Pixels of dx whose coordinates leave the same remainders by the stride see the same
   * taps; each such class is a convolution of dy of stride 1.
   */
  @Override
  public void inputGradient(
      Parallel parallel, Conv2dInputGradient op, Tensor[] inputs, Tensor[] outputs) {
    Tensor dy = inputs[0];
    Tensor weight = inputs[1];
    Tensor dx = outputs[0];
    if (dx.size() == 0) {
      return;
    }
    int n = dx.dim(3);
    int cout = dy.dim(3);
    long from = address(weight);
    if (pointwise(op.stride(), op.padding(), weight)) {
      int rows = Math.toIntExact(dx.size() / n);
      products.multiply(
          parallel,
          new GemmShape(rows, n, cout, cout, 1, 1, cout),
          Precision.BF16X2,
          address(dy),
          from,
          address(dx),
          0,
          0);
      return;
    }
    int s = op.stride();
    int kw = weight.dim(1);
    long width = dx.dim(2);
    try (Scratch scratch = Scratch.frame()) {
      Windows[] windows = new Windows[s * s];
      long[] panels = new long[s * s];
      Out[] outs = new Out[s * s];
      int[] ends = new int[s * s];
      int jobs = 0;
      for (int i = 0; i < s * s; i++) {
        int y = i / s;
        int x = i % s;
        int ytap = (y + op.padding()) % s;
        int xtap = (x + op.padding()) % s;
        Windows f =
            new Windows(
                dy.dim(0),
                dy.dim(1),
                dy.dim(2),
                cout,
                (dx.dim(1) - y + s - 1) / s,
                (width - x + s - 1) / s,
                1,
                (y + op.padding()) / s,
                (x + op.padding()) / s,
                Math.max(0, (weight.dim(0) - ytap + s - 1) / s),
                Math.max(0, (kw - xtap + s - 1) / s),
                -1);
        windows[i] = f;
        panels[i] = scratch.floats(f.taps() * (n + PANEL));
        outs[i] =
            new Out(
                address(dx) + 4 * (y * width + x) * n,
                dx.dim(1) * width * n,
                s * width * n,
                (long) s * n);
        ends[i] = jobs += f.count() == 0 ? 0 : f.tasks(n);
      }
      int taps = weight.dim(0) * kw;
      int tapsPerTask = Math.clamp((1 << 14) / Math.max(1L, (long) n * cout), 1, Math.max(1, taps));
      parallel.parallelFor(
          (taps + tapsPerTask - 1) / tapsPerTask,
          part -> {
            for (int tap = part * tapsPerTask;
                tap < Math.min(taps, (part + 1) * tapsPerTask);
                tap++) {
              int i = tap / kw;
              int j = tap % kw;
              // The class of dx's pixels that see this tap, and its place among theirs.
              int y = Math.floorMod(i - op.padding(), s);
              int x = Math.floorMod(j - op.padding(), s);
              Windows f = windows[y * s + x];
              long row = (i / s * f.xtaps + j / s) * cout;
              long source = from + 4L * tap * n * cout;
              products.pack(source, 1, cout, cout, n, row, f.taps(), 0, n, panels[y * s + x]);
            }
          });
      long images = address(dy);
      parallel.parallelFor(
          jobs,
          job -> {
            int i = 0;
            while (job >= ends[i]) {
              i++;
            }
            int before = i == 0 ? 0 : ends[i - 1];
            windows(
                windows[i],
                images,
                panels[i],
                true,
                n,
                outs[i],
                Added.NOTHING,
                job - before,
                ends[i] - before);
          });
    }
  }

  /** dweight: for each tap and channel under a window, the sum over windows times dy. */
  @Override
  public void weightGradient(
      Parallel parallel, Conv2dWeightGradient op, Tensor[] inputs, Tensor[] outputs) {
    Tensor x = inputs[0];
    Tensor dy = inputs[1];
    Tensor dweight = outputs[0];
    if (dweight.size() == 0) {
      return;
    }
    int n = dy.dim(3);
    Windows f = Windows.of(op.stride(), op.padding(), x, op.kernelHeight(), op.kernelWidth(), dy);
    if (pointwise(op.stride(), op.padding(), dweight)) {
      int m = x.dim(3);
      products.multiply(
          parallel,
          new GemmShape(m, n, (int) f.count(), 1, m, n, 1),
          Precision.BF16X2,
          address(x),
          address(dy),
          address(dweight),
          0,
          0);
      return;
    }
    int ranges = Math.clamp(f.count() / MIN_WINDOWS, 1, Math.min(16, f.tasks(n)));
    long size = dweight.size();
    try (Scratch scratch = Scratch.frame()) {
      long parts = ranges == 1 ? address(dweight) : scratch.floats(size * ranges);
      long images = address(x);
      long gradients = address(dy);
      parallel.parallelFor(
          ranges, i -> range(f, images, gradients, n, parts + 4 * i * size, i, ranges));
      if (ranges > 1) {
        partialSums.add(parallel, parts, ranges, size, address(dweight));
      }
    }
  }

  private void range(Windows f, long images, long dy, long n, long out, long index, long ranges) {
    try (Scratch scratch = Scratch.frame()) {
      long shape = f.write(scratch);
      long first = index * f.count() / ranges;
      long end = (index + 1) * f.count() / ranges;
      kernels.implicitGemmWeight.run(
          shape, images, dy, n, out, first, end, scratch.floats(f.scratch(n)));
    }
  }
}
