// SPDX-License-Identifier: Apache-2.0
package reverie.bench.measure;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import reverie.tensor.ReverieException;

/**
 * How much more memory this process held at its peak than at the beginning, as the kernel of Linux
 * counts it: {@code VmHWM − VmRSS}. Everything counts, whoever allocated it.
 */
public final class ProcessMemory {
  private static final Path STATUS = Path.of("/proc/self/status");

  /** Writing 5 sets the peak back to what is held now. */
  private static final Path CLEAR = Path.of("/proc/self/clear_refs");

  private final long before;

  private ProcessMemory(long before) {
    this.before = before;
  }

  /** Begins here. */
  public static ProcessMemory start() {
    clear();
    return new ProcessMemory(kilobytes("VmRSS"));
  }

  /** Leaves aside how much more than now was held since the beginning. */
  public void forgetPeak() {
    clear();
  }

  private static void clear() {
    System.gc();
    try {
      Files.writeString(CLEAR, "5");
    } catch (IOException e) {
      throw new ReverieException(
          "memory: " + CLEAR + " cannot be written: " + e, "peaks are measured on Linux only", e);
    }
  }

  /** The peak since then, or since it was forgotten, above the beginning, in MB of 2^20 bytes. */
  public double peakMegabytes() {
    return (kilobytes("VmHWM") - before) / 1024.0;
  }

  private static long kilobytes(String key) {
    try {
      return parse(Files.readAllLines(STATUS), key);
    } catch (IOException e) {
      throw new ReverieException("memory: " + STATUS + " cannot be read: " + e);
    }
  }

  static long parse(List<String> status, String key) {
    return status.stream()
        .filter(line -> line.startsWith(key + ":"))
        .map(line -> line.replaceAll("\\D", ""))
        .mapToLong(Long::parseLong)
        .findFirst()
        .orElseThrow(() -> new ReverieException("memory: no " + key + " in " + STATUS));
  }
}
