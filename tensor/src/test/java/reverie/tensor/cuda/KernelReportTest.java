// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.cuda;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import reverie.tensor.cuda.driver.HostDriver;

/** The table of registers and spills that {@code make -C native/cuda report} wrote. */
class KernelReportTest {
  private static final Path REPORT = Path.of("../docs/benchmarks/cuda-kernels.md");
  private static final Pattern DEVICE = Pattern.compile("sm_\\d+");
  private static final Pattern KERNEL = Pattern.compile("\0reverie_(\\w+)\0");

  /** Name and numbers of each kernel; the last is what is spilled. */
  private static List<String[]> rows() throws IOException {
    try (var lines = Files.lines(REPORT)) {
      return lines
          .filter(line -> line.matches("\\| \\w+ \\|( \\d+ \\|)+"))
          .map(line -> line.substring(2).split(" \\|\\s*"))
          .toList();
    }
  }

  private static Set<String> devices(Path file) throws IOException {
    return DEVICE
        .matcher(Files.readString(file))
        .results()
        .map(MatchResult::group)
        .collect(Collectors.toSet());
  }

  @Test
  void saysAllDevicesThatKernelsAreCompiledFor() throws IOException {
    assertEquals(devices(Path.of("../native/cuda/Makefile")), devices(REPORT));
  }

  @Test
  void noKernelSpillsRegisters() throws IOException {
    assertEquals(
        List.of(),
        rows().stream()
            .filter(row -> !row[row.length - 1].equals("0"))
            .map(row -> row[0])
            .toList());
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
    assertEquals(kernels, rows().stream().map(row -> row[0]).collect(Collectors.toSet()));
  }
}
