// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.tensor.Device;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** A model of 200 MB, in tensors of 100 MB, is written and read with a heap of 64 MB. */
class HeapTest {
  private static final int ROWS = 5_000;

  @TempDir Path folder;

  @Test
  void modelsMayBeLargerThanTheHeap() throws IOException, InterruptedException {
    Path output = folder.resolve("output.txt");
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx64m",
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName(),
                folder.resolve("model.safetensors").toString())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    int exit = child.waitFor();
    String text = Files.readString(output, StandardCharsets.UTF_8);
    assertEquals(0, exit, text);
    assertTrue(text.contains("same"), text);
    assertTrue(Files.size(folder.resolve("model.safetensors")) > 200_000_000);
  }

  /** What the small heap must be enough for. */
  static final class Child {
    private Child() {}

    public static void main(String[] arguments) {
      Path file = Path.of(arguments[0]);
      try (Scope _ = Scope.open("child")) {
        Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
        for (int i = 0; i < 2; i++) {
          Tensor tensor = Device.cpu().full(i + 1, ROWS, ROWS);
          // A convolution's weight is written through its transpose.
          entries.put("t" + i, Safetensors.Entry.of(i == 0 ? tensor : tensor.transpose()));
        }
        Safetensors.write(file, entries, Map.of());
        try (Safetensors read = Safetensors.open(file)) {
          for (int i = 0; i < 2; i++) {
            double sum = read.tensor("t" + i, Device.cpu()).mean().item();
            if (sum != i + 1) {
              throw new IllegalStateException("t" + i + ": mean " + sum);
            }
          }
        }
      }
      System.out.println("same");
    }
  }
}
