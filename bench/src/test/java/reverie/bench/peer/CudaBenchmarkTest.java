// SPDX-License-Identifier: Apache-2.0
package reverie.bench.peer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.bench.report.PeerResults;
import reverie.bench.step.Case;
import reverie.bench.step.Kind;
import reverie.bench.step.StepSettings;
import reverie.bench.step.Subject;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
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

  @ParameterizedTest
  @EnumSource
  @EnabledIf(value = "pytorch", disabledReason = "no Python with PyTorch")
  void bothSidesAgreeAndAreTimed(PythonTorch.Way way) {
    CudaBenchmark benchmark =
        new CudaBenchmark(
            _ -> Device.cpu(), PYTHON, "cpu", "", 1, new PrintWriter(new StringWriter()));
    Case small = new Case(Subject.ICONS, 2, Kind.DDPO, Precision.FLOAT32);
    PeerResults.Row row = benchmark.compare(small, Device.cpu(), way);
    assertEquals("icons-2-ddpo-float32", row.name());
    assertTrue(row.difference() < Agreement.TOLERANCE, row.line());
    assertTrue(row.peer().startsWith("PyTorch "), row.line());
  }

  @Test
  @EnabledIf(value = "pytorch", disabledReason = "no Python with PyTorch")
  void tellsWhatPyTorchSays() {
    String script = StepScript.of(Subject.ICONS.config(), StepSettings.usual(), true);
    try (PythonTorch torch =
        new PythonTorch(PYTHON, "cpu", "float32", PythonTorch.Way.EAGER, script)) {
      ReverieException e =
          assertThrows(ReverieException.class, () -> torch.run("nonsense").close());
      assertTrue(e.getMessage().contains("nonsense"), e.getMessage());
    }
  }

  @Test
  void saysThatThereIsNoSuchPython() {
    ReverieException e =
        assertThrows(
            ReverieException.class,
            () -> new PythonTorch("no-such-python", "cpu", "float32", PythonTorch.Way.EAGER, ""));
    assertTrue(e.getMessage().contains("--python"), e.getMessage());
  }
}
