// SPDX-License-Identifier: Apache-2.0
package reverie.bench.count;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import reverie.bench.report.Counted;
import reverie.bench.step.Batch;
import reverie.bench.step.Case;
import reverie.bench.step.OurStep;
import reverie.bench.step.StepSettings;
import reverie.bench.step.Weights;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.cuda.CudaBackend;
import reverie.tensor.cuda.driver.Precision;
import reverie.unet.UNet;

/** Counts what a step asks of a CUDA device; takes no device and next to no memory. */
public final class StepCount {
  private StepCount() {}

  /** Counts the third step: the first captures, the second finds out what changes between steps. */
  public static Counted of(Case c) {
    CountingDriver driver = new CountingDriver(CountingDriver.H200);
    List<Node> nodes = nodes(c, driver);
    Map<String, List<Node>> byKernel = nodes.stream().collect(Collectors.groupingBy(Node::kernel));
    return new Counted(
        c.name(),
        sum("", nodes),
        nodes.stream().mapToLong(Node::least).sum(),
        driver.peakBytes(),
        byKernel.entrySet().stream()
            .map(kernel -> sum(kernel.getKey(), kernel.getValue()))
            .sorted(Comparator.comparingDouble(Counted.Sum::millis).reversed())
            .toList());
  }

  /** An H200 that computes nothing, at once: every number read back is 0. */
  public static CudaBackend backend(Precision precision) {
    return backend(new CountingDriver(CountingDriver.H200), precision);
  }

  static CudaBackend backend(CountingDriver driver, Precision precision) {
    return new CudaBackend(driver, new CountingBlas(driver), new CountingDnn(driver), precision);
  }

  /** What the third step does, in order. */
  static List<Node> nodes(Case c, CountingDriver driver) {
    StepSettings settings = StepSettings.usual();
    try (CudaBackend backend = backend(driver, c.precision())) {
      Device device = new Device(backend);
      try (UNet model = Weights.random(c.subject(), device);
          Batch batch = new Batch(c.subject(), c.batch(), device, settings, Rng.of(2));
          OurStep step = new OurStep(c.kind(), model, batch, settings)) {
        step.run();
        step.run();
        driver.takeNodes();
        step.run();
        return driver.takeNodes();
      }
    }
  }

  private static Counted.Sum sum(String kernel, List<Node> nodes) {
    return new Counted.Sum(
        kernel,
        nodes.size(),
        nodes.stream().mapToLong(n -> n.work().read()).sum(),
        nodes.stream().mapToLong(n -> n.work().written()).sum(),
        flops(nodes, Precision.FLOAT32),
        flops(nodes, Precision.TF32),
        flops(nodes, Precision.BF16),
        1e3 * nodes.stream().mapToDouble(n -> Rates.H200.seconds(n.work())).sum());
  }

  private static double flops(List<Node> nodes, Precision unit) {
    return nodes.stream()
        .filter(n -> n.work().unit() == unit)
        .mapToDouble(n -> n.work().flops())
        .sum();
  }
}
