// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda.driver;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntToDoubleFunction;
import java.util.function.Predicate;
import java.util.stream.LongStream;

/**
 * Convolutions and attention as cuDNN defines them, in plain loops, as strict as {@link HostBlas}.
 *
 * @param made kinds of calls that were made before
 * @param offered whether there is an algorithm for a convolution
 * @param atOnce whether there is a graph for one with bias and residual
 * @param attended whether there is a graph for attention
 */
public record HostDnn(
    HostDriver driver,
    Set<Object> made,
    Predicate<Problem> offered,
    Predicate<Layer> atOnce,
    Predicate<Attention> attended)
    implements Dnn {
  /** Not 0, so that overlapping working memory shows. */
  private static final long WORKSPACE = 1000;

  /** Convolutions of every kind on the stream of a device. */
  public HostDnn(HostDriver driver) {
    this(driver, _ -> true, _ -> true);
  }

  /** Of some kinds. */
  public HostDnn(HostDriver driver, Predicate<Problem> offered, Predicate<Layer> atOnce) {
    this(driver, new HashSet<>(), offered, atOnce, _ -> false);
  }

  /** Some attention too. */
  public HostDnn(HostDriver driver, Predicate<Attention> attended) {
    this(driver, new HashSet<>(), _ -> true, _ -> true, attended);
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
          Loops.of(problem, direction, first, second, result).run(_ -> 0);
        });
  }

  @Override
  public boolean supports(Layer layer) {
    return atOnce.test(layer);
  }

  @Override
  public long workspaceBytes(Layer layer) {
    return WORKSPACE;
  }

  @Override
  public void run(Layer layer, Operands o) {
    if (!supports(layer) || layer.residual() != (o.residual() != 0)) {
      throw new AssertionError("CUDNN_STATUS_NOT_SUPPORTED: " + layer);
    }
    HostDriver.checkKnown(driver, made, layer);
    for (long address : new long[] {o.x(), o.w(), o.bias(), o.residual(), o.y(), o.workspace()}) {
      HostDriver.checkAligned(address);
    }
    driver.enqueue(
        "convolution",
        () -> {
          HostDriver.poison(o.workspace(), WORKSPACE);
          int c = layer.problem().outputs();
          Loops.of(layer.problem(), Direction.FORWARD, o.x(), o.w(), o.y())
              .run(i ->
                  HostDriver.get(o.bias(), i % c)
                      + (layer.residual() ? HostDriver.get(o.residual(), i) : 0));
        });
  }

  @Override
  public boolean supports(Attention attention) {
    return attended.test(attention);
  }

  @Override
  public long workspaceBytes(Attention attention) {
    return WORKSPACE;
  }

  @Override
  public void run(Attention attention, Attended a) {
    if (!supports(attention)) {
      throw new AssertionError("CUDNN_STATUS_NOT_SUPPORTED: " + attention);
    }
    HostDriver.checkKnown(driver, made, attention);
    LongStream.of(a.q(), a.k(), a.v(), a.y(), a.logSumExp(), a.dy(), a.dq(), a.dk(), a.dv())
        .forEach(HostDriver::checkAligned);
    driver.enqueue(
        "attention",
        () -> {
          HostDriver.poison(a.workspace(), WORKSPACE);
          new HostAttention(attention, a).run();
        });
  }

  private record Loops(
      Problem p, Direction direction, double[] first, double[] second, double[] sums, long result) {
    static Loops of(Problem p, Direction direction, long first, long second, long result) {
      int weights = p.outputs() * p.kernelHeight() * p.kernelWidth() * p.channels();
      int images = p.n() * p.height() * p.width() * p.channels();
      int results = p.n() * height(p) * width(p) * p.outputs();
      return switch (direction) {
        case FORWARD ->
            new Loops(
                p,
                direction,
                factors(p, first, images),
                factors(p, second, weights),
                new double[results],
                result);
        case INPUT_GRADIENT ->
            new Loops(
                p,
                direction,
                factors(p, first, results),
                factors(p, second, weights),
                new double[images],
                result);
        case WEIGHT_GRADIENT ->
            new Loops(
                p,
                direction,
                factors(p, first, images),
                factors(p, second, results),
                new double[weights],
                result);
      };
    }

    static int height(Problem p) {
      return (p.height() + 2 * p.padding() - p.kernelHeight()) / p.stride() + 1;
    }

    static int width(Problem p) {
      return (p.width() + 2 * p.padding() - p.kernelWidth()) / p.stride() + 1;
    }

    static double[] factors(Problem p, long address, int count) {
      double[] factors = new double[count];
      for (int i = 0; i < count; i++) {
        factors[i] =
            p.precision() == Precision.BF16
                ? HostDriver.getHalf(address, i)
                : Rounding.of(p.precision(), HostDriver.get(address, i));
      }
      return factors;
    }

    /** Computes, and adds something to each element. */
    void run(IntToDoubleFunction added) {
      int height = height(p);
      int width = width(p);
      int results = p.n() * height * width * p.outputs();
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
              add(x, weight, y);
            }
          }
        }
      }
      for (int i = 0; i < sums.length; i++) {
        set(i, sums[i] + added.applyAsDouble(i));
      }
    }

    private void add(int x, int weight, int y) {
      for (int c = 0; c < p.channels(); c++) {
        switch (direction) {
          case FORWARD -> sums[y] += first[x + c] * second[weight + c];
          case INPUT_GRADIENT -> sums[x + c] += first[y] * second[weight + c];
          case WEIGHT_GRADIENT -> sums[weight + c] += first[x + c] * second[y];
        }
      }
    }

    private void set(int index, double value) {
      HostDriver.set(result, p.precision() == Precision.BF16, index, value);
    }
  }

  @Override
  public String describe() {
    return "convolutions in plain loops";
  }

  @Override
  public void close() {}
}
