// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIf;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.app.command.Benchmarks.Way;
import reverie.bench.count.StepCount;
import reverie.bench.report.CudaRow;
import reverie.bench.step.Case;
import reverie.bench.step.Kind;
import reverie.bench.step.Model;
import reverie.bench.step.StepSettings;
import reverie.bench.step.Subject;
import reverie.tensor.ReverieException;
import reverie.tensor.cuda.CudaBackend;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.Precision;

/** The comparison with PyTorch, on the processor. */
class CudaBenchmarkTest {
  private static final String PYTHON = System.getProperty("reverie.test.python", "python3");

  static boolean pytorch() {
    try {
      ProcessBuilder python = new ProcessBuilder(PYTHON, "-c", "import torch");
      python.redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD);
      return python.start().waitFor() == 0;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  private static List<CudaRow> rows(
      Function<Precision, CudaBackend> devices,
      String python,
      List<Case> cases,
      boolean profile,
      Way... ways) {
    List<CudaRow> rows = new ArrayList<>();
    new CudaBenchmark(devices, python, "cpu", 2).run(cases, List.of(ways), profile, rows::add);
    return rows;
  }

  private static Case icons(Kind kind) {
    return new Case(Subject.ICONS, 1, kind, Precision.FLOAT32);
  }

  @ParameterizedTest
  @EnumSource(names = {"EAGER", "COMPILED"})
  @EnabledIf(value = "pytorch", disabledReason = "no Python with PyTorch")
  @DisabledIf(value = "noKernels", disabledReason = HostCuda.REASON)
  void bothSidesAgreeAndAreTimed(Way way) {
    CudaRow row = rows(HostCuda::backend, PYTHON, List.of(icons(Kind.DDPO)), false, way).getFirst();
    assertEquals("icons-1-ddpo-float32", row.name());
    assertTrue(row.agreement().holds(), row.line());
    assertTrue(row.peer().what().startsWith("PyTorch "), row.line());
  }

  static boolean noKernels() {
    return !HostCuda.isAvailable();
  }

  @Test
  @EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
  void measuresOurStepsAndThoseOfAPeer(@TempDir Path folder) throws IOException {
    String python = FakePeer.program(folder, "nothing").toString();
    List<CudaRow> rows =
        rows(HostCuda::backend, python, List.of(icons(Kind.SAMPLING)), true, Way.OURS, Way.EAGER);
    CudaRow ours = rows.get(0);
    assertTrue(ours.ours().millis() > 0, ours.line());
    assertTrue(ours.profile().stream().anyMatch(r -> r.operation().equals("attention")));
    CudaRow beside = rows.get(1);
    assertEquals(5, beside.peer().millis(), 1e-9);
    assertEquals(7, beside.peer().megabytes());
    // It says so instead of ending there: the fake's latents are zeros.
    assertEquals("latents", beside.agreement().tensor());
    assertFalse(beside.agreement().holds(), beside.line());
    assertTrue(beside.line().contains("DIFFER"), beside.line());
  }

  @Test
  void aRowThatFailsSaysWhyAndTheNextGoesOn(@TempDir Path folder) throws IOException {
    String python = FakePeer.program(folder, "memory").toString();
    List<CudaRow> rows =
        rows(
            StepCount::backend,
            python,
            List.of(icons(Kind.SAMPLING), icons(Kind.DDPO)),
            false,
            Way.COMPILED);
    assertTrue(rows.get(0).failure().contains("CUDA out of memory"), rows.get(0).line());
    assertTrue(rows.get(0).line().contains("FAILED"), rows.get(0).line());
    assertNull(rows.get(1).failure(), rows.get(1).line());
    // Zeros on both sides, every moment and parameter among them.
    assertTrue(rows.get(1).agreement().holds(), rows.get(1).line());
  }

  @Test
  void everyRowHasADeviceOfItsOwn() {
    List<Precision> opened = new ArrayList<>();
    Function<Precision, CudaBackend> devices =
        precision -> {
          opened.add(precision);
          if (opened.size() == 1) {
            throw new ReverieException("cuda device: CUDA_ERROR_ILLEGAL_ADDRESS");
          }
          return StepCount.backend(precision);
        };
    List<CudaRow> rows = rows(devices, "none", Case.named("icons-64-sampling"), false, Way.OURS);
    assertEquals(List.of(Precision.BF16, Precision.TF32, Precision.FLOAT32), opened);
    assertTrue(rows.get(0).failure().contains("ILLEGAL_ADDRESS"), rows.get(0).line());
    assertNull(rows.get(1).failure(), rows.get(1).line());
  }

  @Test
  void theFastestPrecisionAndTheLargestModelComeFirst() {
    List<String> names = Case.named("").stream().map(Case::name).toList();
    assertEquals(24, names.size());
    assertEquals("sd-4-sampling-bf16", names.getFirst());
    assertEquals("icons-64-ddpo-float32", names.getLast());
  }

  @Test
  @EnabledIf(value = "pytorch", disabledReason = "no Python with PyTorch")
  void tellsWhatPyTorchSays() {
    String script = script();
    try (PythonTorch torch = new PythonTorch(PYTHON, "cpu", "float32", Way.EAGER, script)) {
      ReverieException e =
          assertThrows(ReverieException.class, () -> torch.run("nonsense").close());
      assertTrue(e.getMessage().contains("nonsense"), e.getMessage());
    }
  }

  private static String script() {
    try (Model shapes = Model.shapes(Subject.ICONS, Kind.DDPO)) {
      return StepScript.of(shapes, StepSettings.usual(), true);
    }
  }

  @Test
  void saysThatThereIsNoSuchPython() {
    ReverieException e =
        assertThrows(
            ReverieException.class,
            () -> new PythonTorch("no-such-python", "cpu", "float32", Way.EAGER, ""));
    assertTrue(e.getMessage().contains("--python"), e.getMessage());
  }
}
