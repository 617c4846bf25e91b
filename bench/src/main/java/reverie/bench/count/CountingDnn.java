// SPDX-License-Identifier: Apache-2.0
package reverie.bench.count;

import java.util.Locale;
import reverie.tensor.cuda.driver.Dnn;
import reverie.tensor.cuda.driver.Driver;
import reverie.tensor.cuda.driver.Precision;

/** Convolutions that are recorded: as one kernel each, which needs no working memory. */
record CountingDnn(CountingDriver driver) implements Dnn {
  @Override
  public long workspaceBytes(Problem problem, Direction direction) {
    return 0;
  }

  @Override
  public boolean supports(Layer layer) {
    return true;
  }

  @Override
  public long workspaceBytes(Layer layer) {
    return 0;
  }

  @Override
  public void run(Layer layer, Operands operands) {
    Driver.Work bare = work(layer.problem(), Direction.FORWARD);
    long element = layer.problem().precision() == Precision.BF16 ? 2 : 4;
    long y = 4 * (bare.written() / element);
    long more = 4L * layer.problem().outputs() + (layer.residual() ? y : 0);
    Driver.Work work = new Driver.Work(bare.read() + more, y, bare.flops(), bare.unit());
    driver.add(new Node("cudnn forward with bias", work, bare.read() + bare.written()));
  }

  @Override
  public void run(
      Problem problem, Direction direction, long first, long second, long result, long workspace) {
    Driver.Work work = work(problem, direction);
    String name = direction.name().toLowerCase(Locale.ROOT).replace('_', ' ');
    driver.add(new Node("cudnn " + name, work, work.read() + work.written()));
  }

  private static Driver.Work work(Problem p, Direction direction) {
    long height = (p.height() + 2L * p.padding() - p.kernelHeight()) / p.stride() + 1;
    long width = (p.width() + 2L * p.padding() - p.kernelWidth()) / p.stride() + 1;
    long element = p.precision() == Precision.BF16 ? 2 : 4;
    long taps = (long) p.kernelHeight() * p.kernelWidth() * p.channels();
    long x = element * p.n() * p.height() * p.width() * p.channels();
    long w = element * p.outputs() * taps;
    long y = element * p.n() * height * width * p.outputs();
    double flops = 2.0 * p.n() * height * width * p.outputs() * taps;
    long written =
        switch (direction) {
          case FORWARD -> y;
          case INPUT_GRADIENT -> x;
          case WEIGHT_GRADIENT -> w;
        };
    return new Driver.Work(x + w + y - written, written, flops, p.precision());
  }

  @Override
  public String describe() {
    return "convolutions counted";
  }

  @Override
  public void close() {}
}
