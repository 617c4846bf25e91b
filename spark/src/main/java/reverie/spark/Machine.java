// SPDX-License-Identifier: Apache-2.0
package reverie.spark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntConsumer;
import org.apache.spark.SparkEnv;
import reverie.autograd.optim.GradientTree;
import reverie.rl.learn.Drawing;
import reverie.rl.learn.Fleet;
import reverie.rl.learn.FleetProvider.Opened;
import reverie.rl.learn.LaggedWeights;
import reverie.rl.learn.Rollout;
import reverie.rl.learn.Update;
import reverie.rl.learn.Worker;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.DenoisingObjective.Model;
import reverie.rl.reward.RewardBatch;
import reverie.rl.reward.RewardRunner;
import reverie.tensor.ReverieException;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * What an executor keeps between the tasks of a fleet: one model, one reward with its program, the
 * samples of its shards. Everything happens on a thread of its own, since tensors belong to the
 * scopes of a thread and Spark gives a task any.
 */
final class Machine {
  /** An executor has no other place that outlives a task. */
  private static final Map<String, Machine> OPEN = new HashMap<>();

  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("reverie").factory());
  private Fleet.Job job;
  private Worker worker;
  private RewardRunner rewards;
  private final Map<Integer, Rollout> rollouts = new HashMap<>();
  private Scope samples;
  private long drawing = -1;
  private long version = -1;
  private final Map<Model, LaggedWeights> lagged = new EnumMap<>(Model.class);
  private final Map<Model, Long> laggedVersions = new EnumMap<>(Model.class);

  private Machine() {}

  /** What is run on a machine. */
  interface Work<T> {
    T on(Machine machine) throws Exception;
  }

  /** Carries out a task's work on this executor's machine, which is opened for the first. */
  static <T> T run(Plan plan, Work<T> work) {
    Machine machine = of(plan.fleet());
    return machine.call(() -> {
      machine.open(plan);
      return work.on(machine);
    });
  }

  private static synchronized Machine of(String fleet) {
    return OPEN.computeIfAbsent(fleet, _ -> new Machine());
  }

  private <T> T call(Callable<T> work) {
    Future<T> result = thread.submit(work);
    try {
      return result.get();
    } catch (InterruptedException e) {
      result.cancel(true);
      throw new CancellationException("the task was cancelled");
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException cause
          ? cause
          : new IllegalStateException(e.getCause());
    }
  }

  private void open(Plan plan) throws Exception {
    if (job != null) {
      return;
    }
    Scope scope = Scope.open("machine");
    Opened opened = null;
    try {
      opened = plan.source().open();
      requireKernels(plan, opened.job().policy().device().identity());
      worker = new Worker(opened.job());
      rewards = new RewardRunner(opened.job().reward(), opened.job().settings().rewardTimeout());
      job = opened.job();
    } finally {
      if (job == null) {
        if (opened != null) {
          opened.parts().close();
        }
        scope.close();
      }
    }
  }

  private static void requireKernels(Plan plan, String kernels) {
    if (!kernels.equals(plan.kernels())) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "spark: executor %s computes on %s, but the driver on %s, and these round otherwise",
              SparkEnv.get().executorId(),
              kernels,
              plan.kernels()),
          "let all use kernels that every machine knows: REVERIE_JAVA_OPTS=-Dreverie.kernels=avx2");
    }
  }

  private void follow(Weights weights) {
    if (weights.version() != version) {
      weights.copyTo(job.policy());
      version = weights.version();
    }
  }

  DrawnShard draw(Weights weights, long number, int shard, int first, Drawing some) {
    follow(weights);
    List<RewardBatch> images = new ArrayList<>();
    forgetOthers(number);
    try (Scope _ = Scope.open("draw")) {
      Rollout rollout = worker.draw(some, first, images::add);
      keep(shard, rollout);
      return new DrawnShard(number, shard, rollout.stored(), images);
    }
  }

  private void forgetOthers(long number) {
    if (drawing != number) {
      rollouts.clear();
      if (samples != null) {
        samples.close();
      }
      samples = Scope.detached("samples");
      drawing = number;
    }
  }

  private void keep(int shard, Rollout rollout) {
    rollout.moveTo(samples);
    rollouts.put(shard, rollout);
  }

  private Rollout rollout(DrawnShard drawn) {
    forgetOthers(drawn.drawing());
    if (!rollouts.containsKey(drawn.shard())) {
      try (Scope _ = Scope.open("restored")) {
        keep(drawn.shard(), Rollout.of(job.policy(), drawn.rollout()));
      }
    }
    return rollouts.get(drawn.shard());
  }

  /** Images of a model and what they earn. */
  Fleet.Evaluated evaluate(Weights weights, Fleet.Under model, Drawing some) {
    follow(weights);
    List<RewardBatch> batch = new ArrayList<>();
    float[] images = worker.images(model, some, batch::add);
    return new Fleet.Evaluated(images, score(batch));
  }

  /** What images earn. */
  double[] score(List<RewardBatch> images) {
    try {
      return images.stream().map(rewards::submit).toList().stream()
          .flatMapToDouble(pending -> Arrays.stream(pending.await()))
          .toArray();
    } catch (ReverieException e) {
      // It has stopped; a task that is tried here again deserves a new one.
      rewards.close();
      rewards = new RewardRunner(job.reward(), job.settings().rewardTimeout());
      throw e;
    }
  }

  double[][] logProbs(Weights weights, DrawnShard drawn, Fleet.Under model, int... some) {
    follow(weights);
    return worker.logProbs(rollout(drawn), model, some);
  }

  /** Latents of samples before steps, one row each. */
  float[][] before(DrawnShard drawn, int[] some, int... steps) {
    try (Scope _ = Scope.open("latents")) {
      if (some.length == 0) {
        return new float[0][];
      }
      Tensor rows = rollout(drawn).before(some, steps);
      float[] all = rows.toFloats();
      int each = all.length / some.length;
      float[][] split = new float[some.length][];
      Arrays.setAll(split, i -> Arrays.copyOfRange(all, i * each, (i + 1) * each));
      return split;
    }
  }

  /** The gradient of some shards in a row and what came of their batches. */
  Sums differentiate(
      Weights weights,
      Map<Model, Weights> others,
      List<DrawnShard> shards,
      Update update,
      IntConsumer trained) {
    others.forEach(this::followLagged);
    follow(weights);
    Update own = new Update(update.shards(), update.factor(), update.rng(), lagged);
    Sums sums = new Sums(new ArrayList<>(), new GradientTree());
    try (Scope _ = Scope.open("gradient")) {
      for (DrawnShard drawn : shards) {
        job.gradients().clear();
        sums.outcomes()
            .addAll(
                worker.differentiate(
                    rollout(drawn), own.shards().get(drawn.shard()), own, trained));
        sums.tree().add(drawn.shard(), 1, job.gradients().all());
      }
      return sums;
    } catch (RuntimeException e) {
      sums.close();
      throw e;
    }
  }

  /** The parts of one range as one. */
  Part merge(List<Part> parts) {
    try (Scope _ = Scope.open("range");
        var tree = new GradientTree()) {
      List<Update.Outcome> outcomes = Part.add(parts, tree, job.policy().device());
      return new Part(outcomes, Part.nodes(tree, 0, tree.nodes().getFirst().sum().dim(0)));
    }
  }

  private void followLagged(Model model, Weights weights) {
    if (laggedVersions.getOrDefault(model, -1L) != weights.version()) {
      follow(weights);
      LaggedWeights before =
          lagged.put(
              model,
              new LaggedWeights(
                  model.name(), job.policy().parameters(), DenoisingObjective.Lag.NONE));
      if (before != null) {
        before.close();
      }
      laggedVersions.put(model, weights.version());
    }
  }
}
