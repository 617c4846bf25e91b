// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Convolutions as cuDNN defines them, in plain loops, as strict as {@link HostBlas}.
 *
 * @param made kinds of calls that were made before
 * @param offered whether there is an algorithm for a convolution
 */
public record HostDnn(HostDriver driver, Set<Object> made, Predicate<Problem> offered)
    implements Dnn {
  /** Not 0, so that overlapping working memory shows. */
  private static final long WORKSPACE = 1000;

  /** Convolutions of every kind on the stream of a device. */
  public HostDnn(HostDriver driver) {
    this(driver, new HashSet<>(), _ -> true);
  }

  @Override
  public boolean supports(Problem problem, Direction direction) {
    return offered.test(problem);
  }

  @Override
  public long workspaceBytes(Problem problem, Direction direction) {
    return WORKSPACE;
  }

  @Override
  public void run(
      Problem problem, Direction direction, long first, long second, long result, long workspace) {
    if (!supports(problem, direction)) {
      throw new AssertionError("CUDNN_STATUS_NOT_SUPPORTED: " + problem);
    }
    HostDriver.checkKnown(driver, made, List.of(problem, direction));
    for (long address : new long[] {first, second, result, workspace}) {
      HostDriver.checkAligned(address);
    }
    driver.enqueue(
        "convolution",
        () -> {
          HostDriver.poison(workspace, WORKSPACE);
          new Loops(problem, direction, first, second, result).run();
        });
  }

  private record Loops(Problem p, Direction direction, long first, long second, long result) {
    void run() {
      int height = (p.height() + 2 * p.padding() - p.kernelHeight()) / p.stride() + 1;
      int width = (p.width() + 2 * p.padding() - p.kernelWidth()) / p.stride() + 1;
      int weights = p.outputs() * p.kernelHeight() * p.kernelWidth() * p.channels();
      int images = p.n() * p.height() * p.width() * p.channels();
      int results = p.n() * height * width * p.outputs();
      double[] sums =
          new double
              [switch (direction) {
                case FORWARD -> results;
                case INPUT_GRADIENT -> images;
                case WEIGHT_GRADIENT -> weights;
              }];
      for (int y = 0; y < results; y++) {
        int out = y % p.outputs();
        int column = y / p.outputs() % width;
        int row = y / p.outputs() / width % height;
        int image = y / p.outputs() / width / height;
        for (int kh = 0; kh < p.kernelHeight(); kh++) {
          for (int kw = 0; kw < p.kernelWidth(); kw++) {
            int h = row * p.stride() - p.padding() + kh;
            int w = column * p.stride() - p.padding() + kw;
            if (h >= 0 && h < p.height() && w >= 0 && w < p.width()) {
              int x = ((image * p.height() + h) * p.width() + w) * p.channels();
              int weight = ((out * p.kernelHeight() + kh) * p.kernelWidth() + kw) * p.channels();
              add(sums, x, weight, y);
            }
          }
        }
      }
      for (int i = 0; i < sums.length; i++) {
        set(i, sums[i]);
      }
    }

    private void add(double[] sums, int x, int weight, int y) {
      for (int c = 0; c < p.channels(); c++) {
        switch (direction) {
          case FORWARD -> sums[y] += get(first, x + c) * get(second, weight + c);
          case INPUT_GRADIENT -> sums[x + c] += get(first, y) * get(second, weight + c);
          case WEIGHT_GRADIENT -> sums[weight + c] += get(first, x + c) * get(second, y);
        }
      }
    }

    private double get(long address, int index) {
      return p.precision() == Precision.BF16
          ? HostDriver.getHalf(address, index)
          : Rounding.of(p.precision(), HostDriver.get(address, index));
    }

    private void set(int index, double value) {
      if (p.precision() == Precision.BF16) {
        HostDriver.setHalf(result, index, value);
      } else {
        HostDriver.set(result, index, value);
      }
    }
  }

  @Override
  public String describe() {
    return "convolutions in plain loops";
  }

  @Override
  public void close() {}
}
