// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.catalog.OpCatalog;
import reverie.tensor.catalog.Sample;
import reverie.tensor.op.Op;

/** A Java started without {@code --add-modules jdk.incubator.vector}. */
class WithoutVectorModuleTest {
  @Test
  void kernelsInCComputeEveryOperation() throws IOException, InterruptedException {
    assumeTrue(KernelSet.fastest() != KernelSet.VECTOR, "no compiler when it was built");
    String output = run();
    assertTrue(output.contains("computed " + OpCatalog.prototypes().size()), output);
  }

  @Test
  void withoutKernelsInCTheFlagIsNamed() throws IOException, InterruptedException {
    String output = run("-Dreverie.kernels=vector");
    assertTrue(output.contains("refused: cpu device: expected the module jdk.incub"), output);
    assertTrue(output.contains("--add-modules jdk.incubator.vector"), output);
  }

  private static String run(String... options) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Xmx512m", "-Xshare:auto"));
    command.addAll(Arrays.asList(options));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output;
  }

  /** Computes every sample of every operation of the catalogue. */
  static final class Main {
    public static void main(String[] arguments) {
      Device device;
      try {
        device = Device.cpu();
      } catch (ReverieException e) {
        System.out.println("refused: " + e.getMessage());
        return;
      }
      int count = 0;
      for (Op prototype : OpCatalog.prototypes()) {
        for (Sample sample : OpCatalog.entry(prototype).samples()) {
          try (Scope _ = Scope.open("sample")) {
            sample.run(device, sample.inputs(device));
          }
        }
        count++;
      }
      System.out.println("computed " + count);
    }
  }
}
