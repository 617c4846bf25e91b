// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.network.util.JavaUtils;

/** A cluster of two executors with one core each, whose processes are this one's children. */
final class Cluster {
  /** Executors that live for seconds: compiling well what they run costs more than it saves. */
  static final Map<String, String> SHORT_LIVED =
      Map.of("spark.executor.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC");

  private static JavaSparkContext spark;

  private Cluster() {}

  /** Started once for all tests. */
  static synchronized JavaSparkContext spark() {
    if (spark == null) {
      Map<String, String> settings = new HashMap<>(SHORT_LIVED);
      settings.put("spark.default.parallelism", "3");
      // Blocks go to disk.
      settings.put("spark.memory.fraction", "1e-5");
      // A reward that fails everywhere does so seven times, without new executors.
      settings.put("spark.excludeOnFailure.task.maxTaskAttemptsPerExecutor", "4");
      settings.put("spark.scheduler.excludeOnFailure.unschedulableTaskSetTimeout", "1");
      spark = of(2, "600m", settings);
    }
    return spark;
  }

  /**
   * Executors of one core each.
   *
   * @param memory of Java's heap in each
   */
  static JavaSparkContext of(int executors, String memory, Map<String, String> settings) {
    home();
    long megabytes = JavaUtils.byteStringAsMb(memory);
    return new JavaSparkContext(
        SparkSettings.of("local-cluster[" + executors + ",1," + megabytes + "]", settings)
            .set("spark.executor.memory", memory)
            .set("spark.ui.enabled", "false"));
  }

  /** Spark looks for its libraries there, finds none, and takes those of the class path. */
  private static void home() {
    String home = System.getenv("SPARK_HOME");
    if (home == null) {
      throw new IllegalStateException("SPARK_HOME must name a folder for tests, as in the pom");
    }
    try {
      Files.createDirectories(Path.of(home, "jars"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
