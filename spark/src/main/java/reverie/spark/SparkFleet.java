// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.IntConsumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.apache.spark.HashPartitioner;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.util.LongAccumulator;
import reverie.autograd.optim.GradientTree;
import reverie.rl.learn.Contexts;
import reverie.rl.learn.Drawing;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.FleetProvider.JobSource;
import reverie.rl.learn.Samples;
import reverie.rl.learn.Update;
import reverie.rl.objective.DenoisingObjective.Model;
import reverie.rl.prompt.Prompt;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The executors of a Spark application. Samples are an RDD of shards that is kept where it was
 * drawn; an executor that is lost loses nothing, since its shards are drawn again from the same
 * addresses under the same weights, which stay broadcast as long as the samples are of use.
 *
 * <p>The driver sends weights and what is to be differentiated, and gets rewards,
 * log-probabilities, some images and nodes of the tree of gradients. It finishes the tree, moves
 * the weights and writes checkpoints, as on one machine. Floats are never added by Spark, whose
 * reductions merge as tasks finish.
 */
public final class SparkFleet implements Fleet {
  /** Beyond this the driver's network is what everybody waits for. */
  static final long COLLECTED = 256L << 20;

  /** So many tasks at most; with one for each executor, these merge gradients before they send. */
  private static final String PARALLELISM = "spark.default.parallelism";

  private final Job job;
  private final Jobs jobs;
  private final JavaSparkContext spark;
  private final Supplier<JobSource> source;
  private final String kernels;
  private final long collected;
  private final String name = UUID.randomUUID().toString();
  private Plan plan;
  private final Runnable closing;
  private long drawings;
  private long versions;
  private Weights first;
  private Broadcast<Drawing> drawing;
  private JavaRDD<DrawnShard> shards;
  private Weights current;
  private final Map<Model, Weights> lagged = new EnumMap<>(Model.class);
  private List<Prompt> prompts = List.of();
  private Contexts contexts;
  private Scope scope = Scope.detached("contexts");

  /**
   * A fleet of the executors that the application has, and will have.
   *
   * @param source of each executor's copy of the job
   */
  public SparkFleet(Job job, JavaSparkContext spark, JobSource source) {
    this(job, spark, () -> source, job.policy().device().identity(), COLLECTED, () -> {});
  }

  /**
   * The same.
   *
   * @param source asked when something is first drawn
   * @param kernels that every executor must compute with
   * @param collected bytes of gradients that the driver takes in an update; executors add up more
   * @param closing what else is done when it is closed
   */
  SparkFleet(
      Job job,
      JavaSparkContext spark,
      Supplier<JobSource> source,
      String kernels,
      long collected,
      Runnable closing) {
    this.job = job;
    this.spark = spark;
    this.closing = closing;
    jobs = new Jobs(spark);
    this.source = source;
    this.kernels = kernels;
    this.collected = collected;
  }

  private Plan plan() {
    if (plan == null) {
      plan = new Plan(name, source.get(), kernels);
    }
    return plan;
  }

  private int count() {
    return job.settings().shards();
  }

  @Override
  public Samples draw(Drawing all, IntConsumer sampled) {
    forget();
    prompts = all.prompts();
    first = broadcast();
    drawing = spark.broadcast(all);
    int size = prompts.size();
    LongAccumulator drawn = spark.sc().longAccumulator();
    List<Integer> numbers = IntStream.range(0, count()).boxed().toList();
    int partitions = Math.min(count(), spark.sc().conf().getInt(PARALLELISM, count()));
    shards =
        spark
            .parallelize(numbers, partitions)
            .map(new Tasks.Draw(plan(), first, drawing, drawings++, size / count(), drawn))
            .persist(StorageLevel.MEMORY_AND_DISK());
    boolean known = all.rewards() != null;
    List<Tasks.Scored> scored =
        jobs.collect(shards.map(new Tasks.Score(plan, known)), progress(drawn, size, sampled));
    sampled.accept(size);
    return new Samples(
        prompts,
        scored.stream().flatMap(shard -> Arrays.stream(shard.logProbs())).toArray(double[][]::new),
        known
            ? all.rewards()
            : scored.stream().flatMapToDouble(shard -> Arrays.stream(shard.rewards())).toArray(),
        scored.stream().flatMap(shard -> shard.images().stream()).toList());
  }

  @Override
  public Evaluated evaluate(Under model, Drawing all, IntConsumer drawn) {
    List<Drawing> batches = all.batches(job.settings().samplingBatch());
    LongAccumulator done = spark.sc().longAccumulator();
    Weights weights = broadcast();
    try {
      return Evaluated.joined(
          jobs.collect(
              spark
                  .parallelize(batches, batches.size())
                  .map(new Tasks.Evaluate(plan(), weights, model, done)),
              progress(done, all.prompts().size(), drawn)));
    } finally {
      weights.destroy();
    }
  }

  /** Tells of what was done since; tasks that are run again count once more. */
  private static Runnable progress(LongAccumulator done, int total, IntConsumer told) {
    long[] before = {0};
    return () -> {
      long now = Math.min(done.value(), total);
      if (now > before[0]) {
        before[0] = now;
        told.accept((int) now);
      }
    };
  }

  private Weights broadcast() {
    return Weights.of(job.policy(), spark, versions++, Weights.PIECE_BYTES);
  }

  private Weights weights() {
    if (current == null || !current.areThoseOf(job.policy())) {
      forget(current);
      current = first.areThoseOf(job.policy()) ? first : broadcast();
    }
    return current;
  }

  private void forget(Weights weights) {
    if (weights != null && weights != first) {
      weights.destroy();
    }
  }

  @Override
  public double[][] logProbs(Under whose, int[]... samples) {
    var task = new Tasks.LogProbs(plan, weights(), whose, spark.broadcast(samples));
    try {
      return jobs.collect(shards.map(task), () -> {}).stream()
          .flatMap(Arrays::stream)
          .toArray(double[][]::new);
    } finally {
      task.samples().destroy();
    }
  }

  @Override
  public List<Update.Outcome> differentiate(Update update, IntConsumer trained) {
    followLagged(update);
    LongAccumulator done = spark.sc().longAccumulator();
    Broadcast<Update> sent =
        spark.broadcast(new Update(update.shards(), update.factor(), update.rng(), Map.of()));
    int total =
        update.shards().stream().flatMap(List::stream).mapToInt(b -> b.samples().length).sum();
    int[] reported = {0};
    IntConsumer more =
        now -> {
          trained.accept(now - reported[0]);
          reported[0] = now;
        };
    Tensor gradient = job.gradients().all();
    Ranges ranges = Ranges.of(gradient.dim(0), shards.getNumPartitions(), collected);
    var task = new Tasks.Differentiate(plan, weights(), new EnumMap<>(lagged), sent, ranges, done);
    JavaPairRDD<Integer, Part> parts = shards.mapPartitionsToPair(task);
    List<Update.Outcome> outcomes = new ArrayList<>();
    try {
      if (ranges.count() == 1) {
        List<Part> all = jobs.collect(parts.values(), progress(done, total, more));
        outcomes.addAll(sum(all, gradient, ranges, 0));
      } else {
        jobs.forEach(
            parts
                .partitionBy(new HashPartitioner(ranges.count()))
                .mapPartitions(new Tasks.Merge(plan)),
            (range, merged) -> outcomes.addAll(sum(merged, gradient, ranges, range)),
            progress(done, total, more));
      }
    } finally {
      sent.destroy();
    }
    more.accept(total);
    return outcomes;
  }

  /** Sets a range of the gradient to the sum of all shards; gives what came of their batches. */
  private List<Update.Outcome> sum(List<Part> parts, Tensor gradient, Ranges ranges, int range) {
    try (Scope _ = Scope.open("gradients of machines");
        var tree = new GradientTree()) {
      List<Update.Outcome> outcomes = Part.add(parts, tree, job.policy().device());
      tree.moveTo(gradient.slice(0, ranges.start(range), ranges.start(range + 1)));
      return outcomes;
    }
  }

  private void followLagged(Update update) {
    update
        .lagged()
        .forEach((model, weights) ->
            weights.during(() ->
                lagged.compute(
                    model,
                    (_, before) -> {
                      if (before != null && before.areThoseOf(job.policy())) {
                        return before;
                      }
                      forget(before);
                      return broadcast();
                    })));
  }

  /** Latents for the little that the driver computes itself: a learnt baseline, a divergence. */
  @Override
  public Tensor before(int[] samples, int[] steps) {
    int each = prompts.size() / count();
    int[][] own = new int[count()][];
    int[][] at = new int[count()][];
    int[][] places = new int[count()][];
    for (int shard = 0; shard < own.length; shard++) {
      int holder = shard;
      places[shard] =
          IntStream.range(0, samples.length).filter(i -> samples[i] / each == holder).toArray();
      own[shard] = IntStream.of(places[shard]).map(i -> samples[i]).toArray();
      at[shard] = IntStream.of(places[shard]).map(i -> steps[i]).toArray();
    }
    List<float[][]> rows = jobs.collect(shards.map(new Tasks.Before(plan, own, at)), () -> {});
    int elements = job.policy().height() * job.policy().width() * job.policy().channels();
    float[] all = new float[samples.length * elements];
    for (int shard = 0; shard < own.length; shard++) {
      for (int i = 0; i < own[shard].length; i++) {
        System.arraycopy(rows.get(shard)[i], 0, all, places[shard][i] * elements, elements);
      }
    }
    return job.policy()
        .device()
        .tensor(
            all,
            samples.length,
            job.policy().height(),
            job.policy().width(),
            job.policy().channels());
  }

  @Override
  public Tensor contexts(int... samples) {
    if (contexts == null) {
      contexts = new Contexts(job.policy(), prompts);
      contexts.moveTo(scope);
    }
    return contexts.of(samples);
  }

  @Override
  public void forget() {
    if (shards != null) {
      shards.unpersist(false);
      forget(current);
      first.destroy();
      drawing.destroy();
    }
    shards = null;
    current = null;
    contexts = null;
    scope.close();
    scope = Scope.detached("contexts");
  }

  /** Nothing is known of captures in executors. */
  @Override
  public Optional<String> captureFailure() {
    return Optional.empty();
  }

  @Override
  public void close() {
    if (!spark.sc().isStopped()) {
      forget();
      lagged.values().forEach(this::forget);
    }
    scope.close();
    closing.run();
  }
}
