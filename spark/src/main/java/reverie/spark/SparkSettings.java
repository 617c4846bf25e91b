// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.File;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.spark.SparkConf;
import reverie.tensor.cpu.KernelSet;

/** How Reverie uses Spark, unless told otherwise. */
final class SparkSettings {
  private static final String CORES = "spark.executor.cores";
  private static final String OPTIONS = "spark.executor.extraJavaOptions";

  private SparkSettings() {}

  /**
   * The configuration of an application.
   *
   * @param url of the master
   * @param own settings of the user, which win
   */
  static SparkConf of(String url, Map<String, String> own) {
    SparkConf conf = new SparkConf().setMaster(url).setAppName("reverie");
    own.forEach(conf::set);
    String cores = conf.get(CORES, localCores(url));
    conf.setIfMissing("spark.log.level", "ERROR");
    // A task has the whole executor: one model, whose threads share its work.
    conf.setIfMissing(CORES, cores);
    conf.setIfMissing("spark.task.cpus", cores);
    // Losing executors is no fault of a task.
    conf.setIfMissing("spark.task.maxFailures", "8");
    // A machine on which tasks fail, for want of disk or of what a reward needs, gets no more of
    // them; as many as Spark allows may fail on one node, which may be the only one.
    conf.setIfMissing("spark.excludeOnFailure.taskAndStage.enabled", "true");
    conf.setIfMissing("spark.excludeOnFailure.task.maxTaskAttemptsPerExecutor", "2");
    conf.setIfMissing("spark.excludeOnFailure.task.maxTaskAttemptsPerNode", "7");
    conf.setIfMissing("spark.excludeOnFailure.stage.maxFailedExecutorsPerNode", "1000");
    // Nodes of a gradient are as large as they are.
    conf.setIfMissing("spark.driver.maxResultSize", "0");
    // Weights and gradients hardly get smaller, and are not kept to be referred to again.
    conf.setIfMissing("spark.broadcast.compress", "false");
    conf.setIfMissing("spark.shuffle.compress", "false");
    conf.setIfMissing("spark.serializer.objectStreamReset", "1");
    conf.set("spark.speculation", "false");
    if (!conf.contains("spark.jars")) {
      // The checkout lies at the same place on every machine.
      conf.setIfMissing("spark.executor.extraClassPath", classPath());
    }
    String options =
        "--add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED"
            + " -Djava.awt.headless=true -Dreverie.kernels="
            + KernelSet.chosen().label()
            + " -Dreverie.threads="
            + cores
            + " '-Dreverie.data="
            + Path.of(System.getProperty("reverie.data", "data")).toAbsolutePath()
            + "'";
    conf.set(OPTIONS, (options + " " + conf.get(OPTIONS, "")).strip());
    if (url.startsWith("local-cluster")) {
      // Without a distribution of Spark there is no file that tells.
      conf.setIfMissing("spark.executorEnv.SPARK_SCALA_VERSION", "2.13");
    }
    return conf;
  }

  /** Those of an executor of {@code local-cluster[executors,cores,megabytes]}; else 1. */
  private static String localCores(String url) {
    return url.startsWith("local-cluster") ? url.split("[\\[,\\]]")[2].strip() : "1";
  }

  private static String classPath() {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .map(entry -> Path.of(entry).toAbsolutePath().toString())
        .collect(Collectors.joining(File.pathSeparator));
  }
}
