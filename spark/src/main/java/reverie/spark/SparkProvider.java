// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.util.Map;
import java.util.function.Supplier;
import org.apache.spark.api.java.JavaSparkContext;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.FleetProvider;

/** Makes an application of Spark that lives as long as a run. */
public final class SparkProvider implements FleetProvider {
  @Override
  public Fleet fleet(
      String url, Map<String, String> settings, Fleet.Job job, Supplier<JobSource> source) {
    var spark = new JavaSparkContext(SparkSettings.of(url, settings));
    return new SparkFleet(job, spark, source, job.policy().device().identity(), spark::close);
  }
}
