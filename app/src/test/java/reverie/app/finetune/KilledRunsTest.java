// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.files.WatchedFiles;
import reverie.app.report.Summary;
import reverie.app.run.Metrics;

/**
 * A run that dies before any of its file operations and is taken up again ends as if nothing had
 * happened. Every {@code reverie.killer.stride}-th operation is tried; 1 tries all.
 */
class KilledRunsTest {
  private static final int STRIDE = Integer.getInteger("reverie.killer.stride", 29);
  private static final Path WEIGHTS = Path.of("model/unet/diffusion_pytorch_model.safetensors");
  @TempDir Path folder;

  @Test
  void aRunKilledAtAnyFileOperationEndsWithTheSameBits() throws IOException {
    TinyRun tiny = TinyRun.in(folder);
    Path whole = folder.resolve("whole");
    int[] operations = {0};
    tiny.finetune(new WatchedFiles((_, _) -> operations[0]++).of(whole));
    assertTrue(operations[0] > 50, () -> operations[0] + " operations");

    int tried = 0;
    for (int at = 1; at <= operations[0]; at += STRIDE, tried++) {
      Path cut = folder.resolve("cut" + at);
      kill(tiny, cut, at);
      tiny.finetune(cut);
      String where = "killed at operation " + at;
      assertArrayEquals(
          Files.readAllBytes(whole.resolve(WEIGHTS)),
          Files.readAllBytes(cut.resolve(WEIGHTS)),
          where);
      assertEquals(numbers(whole), numbers(cut), where);
      assertEquals(
          Summary.read(whole).orElseThrow().rewardBefore(),
          Summary.read(cut).orElseThrow().rewardBefore(),
          where);
      assertTrue(Files.exists(cut.resolve("report.html")), where);
      try (var files = Files.walk(cut)) {
        assertEquals(
            List.of(),
            files.filter(f -> f.toString().matches(".*(reverie-tmp|\\.part)$")).toList(),
            where);
      }
    }
    System.out.printf(Locale.ROOT, "killed at %d of %d file operations%n", tried, operations[0]);
  }

  private static void kill(TinyRun tiny, Path path, int at) throws IOException {
    int[] operations = {0};
    WatchedFiles files =
        new WatchedFiles((operation, name) -> {
          if (++operations[0] == at) {
            throw new WatchedFiles.Killed(operation + " " + name);
          }
        });
    try {
      assertThrows(WatchedFiles.Killed.class, () -> tiny.finetune(files.of(path)));
    } finally {
      files.closeAll();
    }
  }

  /** What was measured, but for the time it took. */
  private static Map<Long, Map<String, Double>> numbers(Path run) {
    Map<Long, Map<String, Double>> all = new TreeMap<>();
    for (Metrics.Line line : Metrics.read(run)) {
      Map<String, Double> values = new TreeMap<>(line.values());
      values.keySet().removeIf(name -> name.endsWith("seconds"));
      all.put(line.step(), values);
    }
    return all;
  }
}
