// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.util.Map;
import java.util.function.Supplier;
import org.apache.spark.api.java.JavaSparkContext;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.FleetProvider;

/** Makes an application of Spark that lives as long as a run. */
public final class SparkProvider implements FleetProvider {
  private static final String LOGGING = "log4j2.configurationFile";

  @Override
  public Fleet fleet(
      String url, Map<String, String> settings, Fleet.Job job, Supplier<JobSource> source) {
    quieten();
    var spark = new JavaSparkContext(SparkSettings.of(url, settings));
    return new SparkFleet(
        job, spark, source, job.policy().device().identity(), SparkFleet.COLLECTED, spark::close);
  }

  /** Spark says much before it reads {@code spark.log.level}. */
  private static void quieten() {
    if (System.getProperty(LOGGING) == null) {
      System.setProperty(LOGGING, "classpath:reverie/spark/log4j2.properties");
    }
  }
}
