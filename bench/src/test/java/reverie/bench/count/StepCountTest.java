// SPDX-License-Identifier: Apache-2.0
package reverie.bench.count;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.bench.report.Counted;
import reverie.bench.report.Tables;
import reverie.bench.step.Batch;
import reverie.bench.step.Case;
import reverie.bench.step.Kind;
import reverie.bench.step.OurStep;
import reverie.bench.step.StepSettings;
import reverie.bench.step.Subject;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.TensorType;
import reverie.tensor.catalog.OpCatalog;
import reverie.tensor.catalog.Sample;
import reverie.tensor.cuda.CudaBackend;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.Driver.Work;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.op.Cost;
import reverie.tensor.op.Embedding;
import reverie.tensor.op.Op;
import reverie.unet.UNet;

class StepCountTest {
  private static final Case SMALL = new Case(Subject.ICONS, 1, Kind.SAMPLING, Precision.BF16);

  @Test
  @EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
  void countsTheKernelsThatRun() {
    HostDriver driver = HostCuda.driver();
    Device device = new Device(HostCuda.backend(driver, SMALL.precision()));
    StepSettings settings = StepSettings.usual();
    try (UNet model = UNet.random(SMALL.subject().config(), device, Rng.of(1));
        Batch batch = new Batch(SMALL.subject(), SMALL.batch(), device, settings, Rng.of(2));
        OurStep step = new OurStep(SMALL.kind(), model, batch, settings)) {
      step.run();
      step.run();
      driver.launched().clear();
      step.run();
    }
    List<String> counted =
        StepCount.nodes(SMALL, new CountingDriver(driver.properties())).stream()
            .map(Node::kernel)
            .filter(kernel -> !kernel.startsWith("cu") && !kernel.equals("upload"))
            .toList();
    assertEquals(driver.launched(), counted);
  }

  /** 860 million parameters, without their memory. */
  @Test
  void countsWhatDoesNotFitHere() {
    Counted count = StepCount.of(new Case(Subject.SD, 4, Kind.SAMPLING, Precision.BF16));
    Counted.Sum total = count.total();
    // By hand: 3.1 for convolutions, 2.2 for linear layers, 0.9 for attention.
    assertEquals(6.25e12, total.bf16() + total.tf32() + total.float32(), 0.05e12);
    assertTrue(count.memory() > 860_000_000L * 4, count.toString());
    assertEquals(total.nodes(), count.kernels().stream().mapToInt(Counted.Sum::nodes).sum());
  }

  /** Small U-Nets are bound by the number of launches. */
  @Test
  void samplesIconsInFewNodes() {
    Counted count = StepCount.of(new Case(Subject.ICONS, 64, Kind.SAMPLING, Precision.BF16));
    assertTrue(count.total().nodes() <= 190, Tables.kernels(count));
  }

  @ParameterizedTest
  @CsvSource({"SAMPLING, 12, 2.4", "DDPO, 50, 2.1"})
  void stepsOfTheSizeOfStableDiffusionStayFast(Kind kind, double millis, double timesFloor) {
    Counted count = StepCount.of(new Case(Subject.SD, 4, kind, Precision.BF16));
    assertTrue(count.total().millis() <= millis, Tables.counts(List.of(count)));
    assertTrue(count.timesFloor() <= timesFloor, Tables.counts(List.of(count)));
  }

  /** Each factor and result once, in the type that the precision takes; sums need no bytes. */
  @ParameterizedTest
  @CsvSource({"FLOAT32, 4", "TF32, 4", "BF16, 2"})
  void theFloorIsWhatProductsMove(Precision precision, int bytes) {
    CountingDriver driver = new CountingDriver(CountingDriver.H200);
    try (CudaBackend backend = StepCount.backend(driver, precision);
        Scope _ = Scope.open("test")) {
      Device device = new Device(backend);
      Tensor a = device.zeros(64, 32);
      Tensor b = device.zeros(32, 16);
      a.matmul(b).add(1);
      long least = driver.takeNodes().stream().mapToLong(Node::least).sum();
      assertEquals(bytes * (64 * 32 + 32 * 16 + 64 * 16), least);
    }
  }

  @ParameterizedTest
  @EnumSource
  void operationsMoveAtLeastTheirInputsAndOutputs(Precision precision) {
    CountingDriver driver = new CountingDriver(CountingDriver.H200);
    try (CudaBackend backend = StepCount.backend(driver, precision)) {
      Device device = new Device(backend);
      for (Sample sample : OpCatalog.samples()) {
        Op op = sample.op();
        try (Scope _ = Scope.open("sample")) {
          Tensor[] inputs = sample.inputs(device);
          boolean empty = Arrays.stream(inputs).anyMatch(x -> x.size() == 0);
          // Some rows of the table are read; nothing is launched for nothing.
          if (!(op instanceof Embedding) && !empty) {
            List<TensorType> types = Arrays.stream(inputs).map(Tensor::type).toList();
            driver.takeNodes();
            sample.run(device, inputs);
            List<Node> nodes = driver.takeNodes();
            long moved = nodes.stream().mapToLong(n -> n.work().read() + n.work().written()).sum();
            Cost least = Cost.of(op, types);
            assertTrue(moved >= least.bytes(), sample.label() + ": " + least + " " + nodes);
          }
        }
      }
    }
  }

  @Test
  void aNodeTakesTheLongestOfItsParts() {
    Rates rates = new Rates(100, 10, 20, 40, 0.5);
    assertEquals(0.5, rates.seconds(new Work(1, 1, 1, Precision.TF32)));
    assertEquals(3, rates.seconds(new Work(200, 100, 1, Precision.TF32)));
    assertEquals(4, rates.seconds(new Work(200, 100, 80, Precision.TF32)));
    assertEquals(2, rates.seconds(new Work(0, 0, 80, Precision.BF16)));
  }
}
