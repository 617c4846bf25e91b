// SPDX-License-Identifier: Apache-2.0
package reverie.app.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.autograd.nn.AxisOrder;
import reverie.autograd.nn.Initialiser;
import reverie.autograd.nn.Parameters;
import reverie.autograd.nn.StateDict;
import reverie.tensor.DType;
import reverie.tensor.Device;
import reverie.tensor.Scope;

class WeightsDigestTest {
  private static Parameters weights(DType dtype, double value) {
    Parameters weights = Parameters.zeros(Device.cpu(), dtype);
    try (Scope _ = Scope.open("weights")) {
      weights
          .create("matrix", AxisOrder.SAME, Initialiser.zeros(), 3, 4)
          .write(Device.cpu().full(value, 3, 4));
    }
    return weights;
  }

  @Test
  void tellsValuesWhateverTheyAreHeldIn() {
    try (Parameters half = weights(DType.BF16, 0.5);
        Parameters same = weights(DType.F32, 0.5);
        Parameters other = weights(DType.F32, 0.75)) {
      assertEquals(
          WeightsDigest.ofParameters(List.of(half)), WeightsDigest.ofParameters(List.of(same)));
      assertNotEquals(
          WeightsDigest.ofParameters(List.of(same)), WeightsDigest.ofParameters(List.of(other)));
    }
  }

  /** A convolution's weight of 64 MB, which lies otherwise in files, and a heap of 48. */
  @Test
  void savingLoadingAndDigestsNeedNoHeapForAWholeWeight(@TempDir Path folder)
      throws IOException, InterruptedException {
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx48m",
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName(),
                folder.resolve("model.safetensors").toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(child.waitFor(1, TimeUnit.MINUTES));
    assertEquals(0, child.exitValue(), said);
    assertTrue(said.contains("sha256 "), said);
  }

  /** What the small heap must be enough for. */
  static final class Child {
    private Child() {}

    public static void main(String[] arguments) {
      Path file = Path.of(arguments[0]);
      try (Parameters large = Parameters.zeros(Device.cpu(), DType.BF16);
          Parameters read = Parameters.zeros(Device.cpu(), DType.F32)) {
        for (Parameters each : List.of(large, read)) {
          each.create("kernel", AxisOrder.CONV, Initialiser.zeros(), 4, 4, 1024, 1024);
        }
        StateDict.save(large, file, Map.of());
        StateDict.load(read, file);
        System.out.println(WeightsDigest.ofParameters(List.of(read)));
      }
    }
  }
}
