// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;

/** A cluster of two executors with one core each, whose processes are this one's children. */
final class Cluster {
  private static JavaSparkContext spark;

  private Cluster() {}

  /** Started once for all tests. */
  static synchronized JavaSparkContext spark() {
    if (spark == null) {
      SparkConf conf =
          SparkSettings.of("local-cluster[2,1,600]", Map.of())
              .set("spark.executor.memory", "600m")
              .set("spark.default.parallelism", "3")
              .set("spark.ui.enabled", "false");
      home();
      spark = new JavaSparkContext(conf);
    }
    return spark;
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
