// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import org.apache.spark.SimpleFutureAction;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import reverie.tensor.ReverieException;
import scala.Function1;
import scala.collection.Iterator;
import scala.collection.immutable.Range$;
import scala.runtime.BoxedUnit;
import scala.util.Failure;

/** Runs jobs of Spark: with progress, interruption and one clear error. */
final class Jobs {
  private static final String KNOWN = ReverieException.class.getName() + ": ";
  private static final long TICK_MILLIS = 100;

  private final JavaSparkContext spark;

  Jobs(JavaSparkContext spark) {
    this.spark = spark;
  }

  /** What a partition gives. */
  private record Arrived<T>(int partition, List<T> values) {}

  /** All that a task gives. */
  private record Gather<T>() implements Function1<Iterator<T>, List<T>>, Serializable {
    @Override
    public List<T> apply(Iterator<T> all) {
      List<T> values = new ArrayList<>();
      while (all.hasNext()) {
        values.add(all.next());
      }
      return values;
    }
  }

  /**
   * What all tasks give, in the order of the partitions.
   *
   * @param meanwhile is run now and then; may throw to end the job
   */
  <T> List<T> collect(JavaRDD<T> rdd, Runnable meanwhile) {
    List<List<T>> all = new ArrayList<>(Collections.nCopies(rdd.getNumPartitions(), List.of()));
    forEach(rdd, all::set, meanwhile);
    return all.stream().flatMap(List::stream).toList();
  }

  /**
   * Hands over, on this thread, the number of each partition and what its task gives, as they come.
   *
   * @param meanwhile is run now and then; may throw to end the job
   */
  <T> void forEach(JavaRDD<T> rdd, BiConsumer<Integer, List<T>> receiver, Runnable meanwhile) {
    if (spark.sc().isStopped()) {
      throw new ReverieException(
          "spark: the application has ended",
          "look for the reason in the logs of the driver and the master; then resume the run");
    }
    var arrived = new LinkedBlockingQueue<Arrived<T>>();
    int partitions = rdd.getNumPartitions();
    SimpleFutureAction<Object> job =
        spark
            .sc()
            .submitJob(
                rdd.rdd(),
                new Gather<T>(),
                Range$.MODULE$.apply(0, partitions),
                (partition, values) -> {
                  arrived.add(new Arrived<>((Integer) partition, values));
                  return BoxedUnit.UNIT;
                },
                () -> BoxedUnit.UNIT);
    try {
      for (int received = 0; received < partitions; ) {
        Arrived<T> next = arrived.poll(TICK_MILLIS, TimeUnit.MILLISECONDS);
        if (next != null) {
          receiver.accept(next.partition, next.values);
          received++;
        } else if (job.isCompleted() && job.value().get() instanceof Failure<?> failed) {
          throw failure(failed.exception());
        }
        meanwhile.run();
      }
    } catch (InterruptedException e) {
      job.cancel();
      Thread.currentThread().interrupt();
      throw new CancellationException("training was interrupted in the middle of an epoch");
    } catch (RuntimeException stopped) {
      job.cancel();
      throw stopped;
    }
  }

  private static ReverieException failure(Throwable failed) {
    for (Throwable cause = failed; cause != null; cause = cause.getCause()) {
      if (cause instanceof ReverieException known) {
        return known;
      }
    }
    String all = failed.getMessage();
    int known = all.indexOf(KNOWN);
    if (known >= 0) {
      // The message is all that there is where no machine was left to try.
      return new ReverieException(
          all.substring(known + KNOWN.length()).lines().findFirst().orElse(""));
    }
    return new ReverieException(
        "spark: a job failed: " + all.lines().findFirst().orElse(""),
        "the logs of the executors say more; the run can be resumed from its last checkpoint",
        failed);
  }
}
