// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.zip.CRC32;
import org.apache.spark.api.java.JavaSparkContext;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.learn.Drawing;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.FleetProvider.Opened;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerListener;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.tensor.Rng;
import reverie.tensor.Scope;

/** A trainer of a tiny job with what it needs. */
final class TinyRun implements AutoCloseable {
  private final Scope scope = Scope.open("run");
  private final Opened opened;
  private final Trainer trainer;
  private Fleet fleet;

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
            own -> {
              fleet = fleets.apply(own);
              return fleet;
            });
  }

  /** Trains one epoch from a state, or from the beginning, and writes the state. */
  static void epoch(TinyJob source, Function<Fleet.Job, Fleet> fleets, Path from, Path to) {
    try (TinyRun run = new TinyRun(source, fleets)) {
      if (from != null) {
        run.trainer.resume(from);
      }
      run.trainer.run(1);
      run.trainer.save(to, run.measured());
    }
  }

  /** What the model and its base earn, and a checksum of their images. */
  private Map<String, Double> measured() {
    List<Prompt> prompts = Collections.nCopies(13, TinyJob.MEASURED);
    Rng[] rows = new Rng[prompts.size()];
    Arrays.setAll(rows, i -> Rng.of(3).fork(i));
    Map<String, Double> measured = new TreeMap<>();
    for (Fleet.Under whose : Fleet.Under.values()) {
      Fleet.Evaluated evaluated =
          fleet.evaluate(whose, new Drawing(prompts, rows, rows, null, null), _ -> {});
      CRC32 images = new CRC32();
      images.update(Arrays.toString(evaluated.images()).getBytes(StandardCharsets.UTF_8));
      measured.put(whose + " images", (double) images.getValue());
      for (int i = 0; i < prompts.size(); i++) {
        measured.put(whose + " reward " + i, evaluated.rewards()[i]);
      }
    }
    return measured;
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
    Map<String, String> settings = new HashMap<>(Cluster.SHORT_LIVED);
    settings.put("spark.executorEnv.SPARK_SCALA_VERSION", "2.13");
    settings.put("spark.executor.memory", "500m");
    settings.put("spark.cores.max", executors);
    settings.put("spark.scheduler.minRegisteredResourcesRatio", "1");
    settings.put("spark.default.parallelism", "4");
    settings.put("spark.ui.enabled", "false");
    TinyJob sound = TinyJob.of("ddpo");
    TinyJob marked = new TinyJob("ddpo", Set.of(), args[3]);
    try (var spark = new JavaSparkContext(SparkSettings.of(args[0], settings));
        TinyRun run = new TinyRun(sound, job -> new SparkFleet(job, spark, marked))) {
      if (Files.exists(state)) {
        run.trainer.resume(state);
      }
      while (run.trainer.epochs() < Integer.parseInt(args[2])) {
        run.trainer.run(1);
        run.trainer.save(state, run.measured());
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
