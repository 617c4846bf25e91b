// SPDX-License-Identifier: Apache-2.0
package reverie.app.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.cuda.Cuda;
import reverie.tensor.cuda.HostCuda;
import reverie.tensor.cuda.driver.Precision;

class DeviceTrialTest {
  private static final List<Cuda.Part> COMPLETE =
      List.of(new Cuda.Part("device", true, "", "", ""));

  @ParameterizedTest
  @EnumSource
  @EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
  void aDeviceThatComputesPasses(Precision precision) {
    Finding found = DeviceTrial.of(COMPLETE, () -> new Device(HostCuda.backend(precision)));
    assertEquals(Finding.State.OK, found.state(), found::toString);
    assertTrue(found.detail().startsWith("computes; relative error "), found::toString);
  }

  @Test
  void aDeviceThatFailsDoesNot() {
    Finding found =
        DeviceTrial.of(
            COMPLETE,
            () -> {
              throw new ReverieException("cuda device: CUDA_ERROR_NO_BINARY_FOR_GPU");
            });
    assertEquals(Finding.State.PROBLEM, found.state());
    assertTrue(found.detail().contains("NO_BINARY_FOR_GPU"), found::toString);
  }

  @Test
  void whatIsMissingIsNamed() {
    Cuda.Part missing = new Cuda.Part("cuDNN", false, "not found in /x", "", "install cuDNN 9");
    Finding found =
        DeviceTrial.of(
            List.of(missing),
            () -> {
              throw new AssertionError("opened all the same");
            });
    assertEquals(Finding.problem("CUDA", "cuDNN: not found in /x", "install cuDNN 9"), found);
  }
}
