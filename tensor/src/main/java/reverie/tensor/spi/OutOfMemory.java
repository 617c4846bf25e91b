// SPDX-License-Identifier: Apache-2.0
package reverie.tensor.spi;

import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import reverie.tensor.ReverieException;

/** What is said where a device has not as much memory as is asked for. */
public final class OutOfMemory {
  private static final int NAMED = 5;
  private static final double MEBI = 1 << 20;

  private OutOfMemory() {}

  /**
   * An error that names who holds most. All amounts are bytes.
   *
   * @param held what all tensors of the device take
   * @param holders what those of a scope take, by the scope's path
   */
  public static ReverieException of(
      String device, long asked, long free, long total, long held, Map<String, Long> holders) {
    String largest =
        holders.entrySet().stream()
            .sorted(Map.Entry.<String, Long>comparingByValue().reversed())
            .limit(NAMED)
            .map(holder ->
                String.format(
                    Locale.ROOT, "%.1f MB by %s", holder.getValue() / MEBI, holder.getKey()))
            .collect(Collectors.joining("; "));
    return new ReverieException(
        String.format(
            Locale.ROOT,
            "%s: out of memory: asked for %.1f MB, %.1f MB of %.1f MB are free; %.1f MB are held%s",
            device,
            asked / MEBI,
            free / MEBI,
            total / MEBI,
            held / MEBI,
            largest.isEmpty() ? "" : ": " + largest),
        "make the batch smaller, or checkpoint activations");
  }
}
