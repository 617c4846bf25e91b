// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import reverie.autograd.optim.GradientTree;
import reverie.rl.reward.RewardBatch;
import reverie.rl.reward.RewardRunner;
import reverie.tensor.Ops;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** This machine alone: rewards are computed while the next samples are drawn. */
public final class LocalFleet implements Fleet {
  private final Job job;
  private final Worker worker;
  private final RewardRunner rewards;
  private Scope scope = Scope.detached("samples");
  private final List<Rollout> shards = new ArrayList<>();

  /** Starts the reward's thread. */
  public LocalFleet(Job job) {
    this.job = job;
    worker = new Worker(job);
    rewards = new RewardRunner(job.reward(), job.settings().rewardTimeout());
  }

  @Override
  public Samples draw(Drawing drawing, IntConsumer sampled) {
    forget();
    int size = drawing.prompts().size();
    int each = size / job.settings().shards();
    List<RewardBatch> images = new ArrayList<>();
    List<RewardRunner.Pending> scores = new ArrayList<>();
    int[] drawn = {0};
    for (int first = 0; first < size; first += each) {
      Rollout shard =
          worker.draw(
              drawing.range(first, first + each),
              first,
              batch -> {
                images.add(batch);
                if (drawing.rewards() == null) {
                  scores.add(rewards.submit(batch));
                }
                drawn[0] += batch.size();
                sampled.accept(drawn[0]);
              });
      shard.moveTo(scope);
      hold(shard);
    }
    return new Samples(
        drawing.prompts(),
        shards.stream().flatMap(shard -> Arrays.stream(shard.logProbs())).toArray(double[][]::new),
        drawing.rewards() != null
            ? drawing.rewards()
            : scores.stream().flatMapToDouble(some -> Arrays.stream(some.await())).toArray(),
        images);
  }

  @Override
  public Evaluated evaluate(Under model, Drawing drawing, IntConsumer drawn) {
    List<float[]> images = new ArrayList<>();
    List<RewardRunner.Pending> scores = new ArrayList<>();
    int done = 0;
    for (Drawing some : drawing.batches(job.settings().samplingBatch())) {
      images.add(worker.images(model, some, batch -> scores.add(rewards.submit(batch))));
      done += some.prompts().size();
      drawn.accept(done);
    }
    return Evaluated.joined(
        IntStream.range(0, images.size())
            .mapToObj(i -> new Evaluated(images.get(i), scores.get(i).await()))
            .toList());
  }

  /** From now on has the samples of the next shard. */
  void hold(Rollout shard) {
    shards.add(shard);
  }

  @Override
  public double[][] logProbs(Under model, int[]... samples) {
    List<double[]> rows = new ArrayList<>();
    for (int i = 0; i < samples.length; i++) {
      rows.addAll(Arrays.asList(worker.logProbs(shards.get(i), model, samples[i])));
    }
    return rows.toArray(double[][]::new);
  }

  @Override
  public List<Update.Outcome> differentiate(Update update, IntConsumer trained) {
    List<Update.Outcome> outcomes = new ArrayList<>();
    GradientTree.sum(
        job.gradients(),
        update.shards().size(),
        shard ->
            outcomes.addAll(
                worker.differentiate(
                    shards.get(shard), update.shards().get(shard), update, trained)));
    return outcomes;
  }

  @Override
  public Tensor before(int[] samples, int[] steps) {
    return joined(samples, steps, Rollout::before);
  }

  @Override
  public Tensor contexts(int... samples) {
    return joined(samples, samples, (shard, some, _) -> shard.contexts(some));
  }

  /** Asks each shard for the samples in a row that are its own. */
  private Tensor joined(int[] samples, int[] steps, Part part) {
    List<Tensor> parts = new ArrayList<>();
    int from = 0;
    while (from < samples.length) {
      Rollout shard = holder(samples[from]);
      int to = from + 1;
      while (to < samples.length && holder(samples[to]) == shard) {
        to++;
      }
      parts.add(
          part.of(
              shard, Arrays.copyOfRange(samples, from, to), Arrays.copyOfRange(steps, from, to)));
      from = to;
    }
    return parts.size() == 1 || parts.getFirst() == null
        ? parts.getFirst()
        : Ops.concat(0, parts.toArray(Tensor[]::new));
  }

  private Rollout holder(int sample) {
    return shards.get(sample / shards.getFirst().size());
  }

  private interface Part {
    Tensor of(Rollout shard, int[] samples, int[] steps);
  }

  @Override
  public void forget() {
    scope.close();
    scope = Scope.detached("samples");
    shards.clear();
  }

  @Override
  public Optional<String> captureFailure() {
    return worker.captureFailure();
  }

  @Override
  public void close() {
    rewards.close();
    worker.close();
    scope.close();
  }
}
