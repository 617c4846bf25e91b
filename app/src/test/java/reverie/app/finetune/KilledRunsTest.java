// SPDX-License-Identifier: Apache-2.0
package reverie.app.finetune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reverie.app.files.WatchedFiles;
import reverie.app.report.Summary;
import reverie.app.run.Metrics;

/**
 * A run that dies before any of its file operations and is taken up again ends as if nothing had
 * happened. Equal operations in a row, such as writes to one file, are one place. Every {@code
 * reverie.killer.stride}-th place is tried, and the first of every kind; 1 tries all.
 */
class KilledRunsTest {
  private static final int STRIDE = Integer.getInteger("reverie.killer.stride", 9);
  private static final Path WEIGHTS = Path.of("model/unet/diffusion_pytorch_model.safetensors");
  @TempDir Path folder;

  @Test
  void aRunKilledAtAnyFileOperationEndsWithTheSameBits() throws IOException {
    TinyRun tiny = TinyRun.in(folder);
    Path whole = folder.resolve("whole");
    List<String> operations = new ArrayList<>();
    tiny.finetune(new WatchedFiles((kind, name) -> operations.add(kind + " " + name)).of(whole));
    List<Integer> places = places(operations);
    assertTrue(places.size() > 50, () -> operations.toString());

    Set<String> kinds = new HashSet<>();
    int tried = 0;
    for (int i = 0; i < places.size(); i++) {
      int at = places.get(i);
      boolean first = kinds.add(operations.get(at - 1).split(" ")[0]);
      if (i % STRIDE != 0 && !first) {
        continue;
      }
      tried++;
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
    System.out.printf(
        Locale.ROOT,
        "killed at %d of %d places in %d file operations%n",
        tried,
        places.size(),
        operations.size());
  }

  /** The number of an operation for every place, counted from 1: in its middle. */
  private static List<Integer> places(List<String> operations) {
    List<Integer> places = new ArrayList<>();
    int from = 0;
    for (int to = 1; to <= operations.size(); to++) {
      if (to == operations.size() || !operations.get(to).equals(operations.get(from))) {
        places.add((from + 1 + to) / 2);
        from = to;
      }
    }
    return places;
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
