// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.cuda.driver.HostDriver;

/** The table of registers and spills that {@code make -C native/cuda report} wrote. */
class KernelReportTest {
  private static final Path REPORT = Path.of("../docs/benchmarks/cuda-kernels.md");
  private static final Pattern KERNEL = Pattern.compile("\0reverie_(\\w+)\0");

  private static Set<String> rows() throws IOException {
    try (var lines = Files.lines(REPORT)) {
      return lines
          .filter(line -> line.matches("\\| \\w+ \\|( \\d+ \\|)+"))
          .map(line -> line.substring(2, line.indexOf(' ', 2)))
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }

  @Test
  @EnabledIf(value = "reverie.tensor.cuda.HostCuda#isAvailable", disabledReason = HostCuda.REASON)
  void saysAllKernelsThatThereAre() throws IOException {
    Set<String> kernels = new TreeSet<>();
    try (InputStream library = HostDriver.class.getResourceAsStream("libreverie-cuda-host.so")) {
      String text = new String(library.readAllBytes(), ISO_8859_1);
      // The end of a name may be the beginning of the next.
      KERNEL.matcher(text.replace("\0", "\0\0")).results().forEach(r -> kernels.add(r.group(1)));
    }
    kernels.removeIf(name -> name.matches("order|right|wrong_.*"));
    assertEquals(kernels, rows());
  }
}
