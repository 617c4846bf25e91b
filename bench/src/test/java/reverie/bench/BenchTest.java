// SPDX-License-Identifier: Apache-2.0
package reverie.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.command.Benchmarks;
import reverie.bench.step.Batch;
import reverie.bench.step.Kind;
import reverie.bench.step.OurStep;
import reverie.bench.step.StepSettings;
import reverie.bench.step.Subject;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.TensorType;
import reverie.tensor.catalog.Sample;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.unet.UNet;

class BenchTest {
  private final PrintWriter out = new PrintWriter(new StringWriter());

  private static Benchmarks.Request request(Path json) {
    return new Benchmarks.Request("", true, false, "", 1, json, null, null);
  }

  @Test
  void theCommandFindsTheBenchmarks() {
    assertInstanceOf(Bench.class, ServiceLoader.load(Benchmarks.class).findFirst().orElseThrow());
  }

  @Test
  void saysAtOnceThatAFileCannotBeWritten(@TempDir Path folder) {
    ReverieException e =
        assertThrows(ReverieException.class, () -> new Bench().run(request(folder), out));
    assertTrue(e.getMessage().contains("this is a folder"), e.getMessage());
  }

  @Test
  void saysHowToGetThePeers() {
    ReverieException e =
        assertThrows(ReverieException.class, () -> new Bench().run(request(null), out));
    assertTrue(e.getMessage().contains("./reverie bench --peers"), e.getMessage());
  }

  @Test
  void countsStepsLineByLine(@TempDir Path folder) throws IOException {
    Path json = folder.resolve("counts.jsonl");
    Benchmarks.OnCuda count = new Benchmarks.OnCuda(true, true, List.of(), "python3");
    StringWriter said = new StringWriter();
    new Bench()
        .run(
            new Benchmarks.Request("", false, false, "icons-64-sampling", 1, json, null, count),
            new PrintWriter(said, true));
    List<String> lines = Files.readAllLines(json);
    assertEquals(3, lines.size());
    assertTrue(lines.getFirst().contains("\"nodes\""), lines::getFirst);
    assertTrue(said.toString().contains("| icons-64-sampling-bf16 "), said::toString);
    assertTrue(said.toString().contains("| cublas "), said::toString);
  }

  @Test
  void everyWorkloadHasInputsThatItsOperationTakes() {
    for (Sample workload : Workloads.all()) {
      List<TensorType> types =
          workload.inputs().stream()
              .map(input -> new TensorType(input.index() ? DType.I32 : DType.F32, input.shape()))
              .toList();
      assertFalse(workload.op().infer(types).isEmpty(), workload.label());
    }
  }

  @Test
  @EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
  void stepsOnCudaDoNotWait() {
    HostDriver driver = HostCuda.driver();
    Device device = new Device(HostCuda.backend(driver, Precision.FLOAT32));
    try (UNet model = UNet.random(Subject.ICONS.config(), device, Rng.of(1));
        Batch batch = new Batch(Subject.ICONS, 2, device, StepSettings.usual(), Rng.of(2))) {
      for (Kind kind : Subject.ICONS.kinds()) {
        try (OurStep step = new OurStep(kind, model, batch, StepSettings.usual())) {
          step.run();
          int before = driver.waits();
          int launched = driver.launched().size();
          step.run();
          assertEquals(before, driver.waits(), kind.title());
          assertTrue(driver.launched().size() > launched + 100, kind.title());
        }
      }
    }
  }

  @Test
  void trainingMovesTheParametersAndAgreesWithItsGradient() {
    Device device = Device.cpu();
    try (UNet model = UNet.random(Subject.ICONS.config(), device, Rng.of(1));
        Batch batch = new Batch(Subject.ICONS, 2, device, StepSettings.usual(), Rng.of(2))) {
      batch.draw(model);
      for (Kind kind : Subject.ICONS.kinds()) {
        try (OurStep step = new OurStep(kind, model, batch, StepSettings.usual())) {
          float before = model.parameters().get("conv_in.bias").value().toFloats()[0];
          step.run();
          float after = model.parameters().get("conv_in.bias").value().toFloats()[0];
          assertTrue((before != after) == kind.trains(), kind + " " + before + " " + after);
        }
      }
    }
  }
}
