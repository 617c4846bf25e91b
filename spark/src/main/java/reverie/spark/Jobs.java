// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.spark.api.java.JavaFutureAction;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import reverie.tensor.ReverieException;

/** Runs jobs of Spark: with progress, interruption and one clear error. */
final class Jobs {
  private static final String KNOWN = ReverieException.class.getName() + ": ";
  private static final long TICK_MILLIS = 100;

  private final JavaSparkContext spark;

  Jobs(JavaSparkContext spark) {
    this.spark = spark;
  }

  /**
   * What all tasks give, in the order of the partitions.
   *
   * @param meanwhile is run now and then; may throw to end the job
   */
  <T> List<T> collect(JavaRDD<T> rdd, Runnable meanwhile) {
    if (spark.sc().isStopped()) {
      throw new ReverieException(
          "spark: the application has ended",
          "look for the reason in the logs of the driver and the master; then resume the run");
    }
    JavaFutureAction<List<T>> job = rdd.collectAsync();
    while (true) {
      try {
        List<T> all = job.get(TICK_MILLIS, TimeUnit.MILLISECONDS);
        meanwhile.run();
        return all;
      } catch (TimeoutException stillRunning) {
        try {
          meanwhile.run();
        } catch (RuntimeException stopped) {
          job.cancel(true);
          throw stopped;
        }
      } catch (InterruptedException e) {
        job.cancel(true);
        Thread.currentThread().interrupt();
        throw new CancellationException("training was interrupted in the middle of an epoch");
      } catch (ExecutionException e) {
        throw failure(e);
      }
    }
  }

  private static ReverieException failure(ExecutionException e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof ReverieException known) {
        return known;
      }
    }
    String all = e.getCause().getMessage();
    int known = all.indexOf(KNOWN);
    if (known >= 0) {
      // The message is all that there is where no machine was left to try.
      return new ReverieException(
          all.substring(known + KNOWN.length()).lines().findFirst().orElse(""));
    }
    return new ReverieException(
        "spark: a job failed: " + e.getCause().getMessage().lines().findFirst().orElse(""),
        "the logs of the executors say more; the run can be resumed from its last checkpoint",
        e);
  }
}
