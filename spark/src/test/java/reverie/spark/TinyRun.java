// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.apache.spark.api.java.JavaSparkContext;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.FleetProvider.Opened;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerListener;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Scope;

/** A trainer of a tiny job with what it needs. */
final class TinyRun implements AutoCloseable {
  private final Scope scope = Scope.open("run");
  private final Opened opened;
  private final Trainer trainer;

  /** Begins. */
  private TinyRun(TinyJob source, Function<Fleet.Job, Fleet> fleets) {
    opened = source.open();
    Fleet.Job job = opened.job();
    trainer =
        new Trainer(
            job.policy(),
            job.objective(),
            new GroupAdvantages(),
            PromptSource.of("a cat", "a dog", "owl"),
            job.reward(),
            job.settings(),
            TrainerListener.NONE,
            fleets);
  }

  /** Trains one epoch from a state, or from the beginning, and writes the state. */
  static void epoch(TinyJob source, Function<Fleet.Job, Fleet> fleets, Path from, Path to) {
    try (TinyRun run = new TinyRun(source, fleets)) {
      if (from != null) {
        run.trainer.resume(from);
      }
      run.trainer.run(1);
      run.trainer.save(to);
    }
  }

  /**
   * A driver in a process of its own, which goes on from the state if it is there and writes it
   * after every epoch.
   *
   * @param args master, state, epochs, folder of marks, executors
   */
  public static void main(String... args) {
    Path state = Path.of(args[1]);
    String executors = args[4];
    Map<String, String> settings =
        Map.of(
            "spark.executorEnv.SPARK_SCALA_VERSION", "2.13",
            "spark.executor.memory", "500m",
            "spark.cores.max", executors,
            "spark.scheduler.minRegisteredResourcesRatio", "1",
            "spark.default.parallelism", "4",
            "spark.ui.enabled", "false");
    TinyJob sound = TinyJob.of("ddpo");
    TinyJob marked = new TinyJob("ddpo", Set.of(), args[3]);
    try (var spark = new JavaSparkContext(SparkSettings.of(args[0], settings));
        TinyRun run = new TinyRun(sound, job -> new SparkFleet(job, spark, marked))) {
      if (Files.exists(state)) {
        run.trainer.resume(state);
      }
      while (run.trainer.epochs() < Integer.parseInt(args[2])) {
        run.trainer.run(1);
        run.trainer.save(state);
      }
    }
  }

  @Override
  public void close() {
    trainer.close();
    try {
      opened.parts().close();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
    scope.close();
  }
}
