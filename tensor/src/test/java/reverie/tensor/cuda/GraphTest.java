// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cuda.driver.HostBlas;
import reverie.tensor.cuda.driver.HostDnn;
import reverie.tensor.cuda.driver.HostDriver;
import reverie.tensor.cuda.driver.Precision;
import reverie.tensor.debug.Profile;
import reverie.tensor.graph.CapturedGraph;

@EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
class GraphTest {
  private final HostDriver driver = new HostDriver(1L << 30);
  private final CudaBackend backend =
      new CudaBackend(driver, new HostBlas(driver), new HostDnn(driver), Precision.FLOAT32);
  private final Device device = new Device(backend);

  private static Tensor[] step(Tensor x) {
    Tensor y = x.mul(x).add(1);
    return new Tensor[] {y.exp().matmul(y)};
  }

  @Test
  void runsAsOneGraphWithOneCallAndNoWaiting() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 2, 2);
      try (CapturedGraph captured = CapturedGraph.of(device, () -> step(x))) {
        int calls = driver.calls();
        captured.run();
        assertEquals(calls + 1, driver.calls());
        assertEquals(List.of("mul", "affine", "exp"), driver.launched());
        float[] first = captured.outputs().getFirst().toFloats();
        x.assign(x.mul(0.5));
        captured.run();
        assertArrayEquals(step(x)[0].toFloats(), captured.outputs().getFirst().toFloats());
        assertTrue(first[0] > captured.outputs().getFirst().toFloats()[0]);
      }
    }
    close();
  }

  @Test
  void measuresEveryOperationByItself() {
    try (Scope _ = Scope.open("test")) {
      Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 2, 2);
      try (CapturedGraph captured = CapturedGraph.of(device, () -> step(x))) {
        Profile profile = new Profile(null);
        captured.run(profile);
        assertEquals(
            List.of("affine", "exp", "mat_mul", "mul"),
            profile.rows().stream().map(Profile.Row::operation).sorted().toList());
      }
    }
    close();
  }

  /** Whichever call fails: the error says so, and afterwards everything works and nothing leaks. */
  @Test
  void survivesTheFailureOfAnyCall() {
    int failures = 0;
    for (int call = 0; call < 40; call++) {
      driver.failAfter(call);
      try (Scope _ = Scope.open("test")) {
        Tensor x = device.tensor(new float[] {1, 2, 3, 4}, 2, 2);
        try (CapturedGraph captured = CapturedGraph.of(device, () -> step(x))) {
          captured.run();
          captured.outputs().getFirst().toFloats();
        }
      } catch (ReverieException failure) {
        assertTrue(failure.getMessage().contains("CUDA_ERROR_UNKNOWN"), failure.getMessage());
        failures++;
      }
      assertEquals(0, device.liveBytes(), "after the failure of call " + call);
    }
    assertTrue(failures >= 9, failures + " failures");
    driver.failAfter(-1);
    close();
  }

  private void close() {
    backend.synchronize();
    backend.close();
    assertEquals(0, driver.leaks());
  }

  @Test
  void refusesAnUnknownKernelByName() {
    assertThrows(ReverieException.class, () -> driver.kernel("nonsense"));
    close();
  }
}
