// SPDX-License-Identifier: Apache-2.0
package reverie.app;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import reverie.tensor.ReverieException;
import reverie.tensor.io.Mutations;

/**
 * Tries damaged copies of files: {@code reverie.mutants} of each, 2,000 where it is not set, and an
 * eighth of that where reading takes long.
 */
final class FileMutants {
  private static final int EACH = Integer.getInteger("reverie.mutants", 2_000);

  private FileMutants() {}

  /** What reads a file. */
  interface Use {
    void of(Path file) throws IOException;
  }

  /** A sound file, its place in the folder, and what reads it. */
  record Format(byte[] seed, String name, Use use) {
    Format(String seed, String name, Use use) {
      this(seed.getBytes(StandardCharsets.UTF_8), name, use);
    }
  }

  /** Every copy is read, or is one error with a hint; the sound file lies there afterwards. */
  static void tryAll(Path folder, List<Format> formats) throws IOException {
    tryAll(folder, formats, EACH);
  }

  /** The same of files that take long to read. */
  static void trySome(Path folder, List<Format> formats) throws IOException {
    tryAll(folder, formats, EACH / 8);
  }

  /** Every fourth is sound JSON of another shape, where the file is JSON. */
  private static byte[] mutant(byte[] seed, int i) {
    return (i % 4 == 0 ? JsonMutants.of(seed, i) : Optional.<byte[]>empty())
        .orElseGet(() -> Mutations.of(seed, i));
  }

  private static void tryAll(Path folder, List<Format> formats, int each) throws IOException {
    List<String> failures = new ArrayList<>();
    Map<String, int[]> counts = new LinkedHashMap<>();
    for (Format format : formats) {
      int[] count = counts.computeIfAbsent(format.name(), _ -> new int[2]);
      Path file = folder.resolve(format.name());
      Files.createDirectories(file.getParent());
      for (int i = 0; i < each; i++) {
        Files.write(file, mutant(format.seed(), i));
        try {
          format.use().of(file);
          count[0]++;
        } catch (ReverieException refused) {
          count[1]++;
          if (!refused.getMessage().contains("\nhint: ")) {
            failures.add(format.name() + ", no hint: " + refused.getMessage());
          }
        } catch (RuntimeException | StackOverflowError e) {
          failures.add(format.name() + ", mutant " + i + ": " + e + " at " + e.getStackTrace()[0]);
        }
      }
      Files.write(file, format.seed());
      format.use().of(file);
    }
    counts.forEach((name, count) ->
        System.out.printf(Locale.ROOT, "%s: %d read, %d refused%n", name, count[0], count[1]));
    assertTrue(
        failures.isEmpty(),
        () ->
            failures.size()
                + " failures:\n"
                + String.join("\n", failures.stream().limit(20).toList()));
  }
}
