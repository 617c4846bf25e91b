// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JobsTest {
  private static final long PATIENCE_MILLIS = 60_000;

  @TempDir Path folder;

  private final Jobs jobs = new Jobs(Cluster.spark());

  /** The second task ends when a file is there. */
  private static JavaRDD<Integer> numbers(String file) {
    return Cluster.spark()
        .parallelize(List.of(0, 1, 2, 3), 2)
        .map(
            (Function<Integer, Integer>)
                i -> {
                  long end = System.currentTimeMillis() + PATIENCE_MILLIS;
                  while (i > 1 && Files.notExists(Path.of(file))) {
                    if (System.currentTimeMillis() > end) {
                      throw new IllegalStateException("nobody took what the first task gave");
                    }
                    Thread.sleep(5);
                  }
                  return i;
                });
  }

  @Test
  void whatComesFirstIsHandedOverWhileOthersRun() {
    Path file = folder.resolve("taken");
    Map<Integer, List<Integer>> taken = new TreeMap<>();
    jobs.forEach(
        numbers(file.toString()),
        (partition, values) -> {
          taken.put(partition, values);
          create(file);
        },
        () -> {});
    assertEquals(Map.of(0, List.of(0, 1), 1, List.of(2, 3)), taken);
    assertEquals(List.of(0, 1, 2, 3), jobs.collect(numbers(file.toString()), () -> {}));
  }

  @Test
  void aReceiverThatFailsEndsTheJob() {
    Path file = folder.resolve("taken");
    IllegalStateException failure = new IllegalStateException("enough");
    assertEquals(
        failure,
        assertThrows(
            IllegalStateException.class,
            () ->
                jobs.forEach(
                    numbers(file.toString()),
                    (_, _) -> {
                      throw failure;
                    },
                    () -> {})));
    // The executors are free for another job.
    create(file);
    assertEquals(List.of(0, 1, 2, 3), jobs.collect(numbers(file.toString()), () -> {}));
  }

  private static void create(Path file) {
    try {
      if (Files.notExists(file)) {
        Files.createFile(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
