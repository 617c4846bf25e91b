// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.GradientAccumulator;
import reverie.autograd.optim.GradientTree;
import reverie.diffusion.Sampler;
import reverie.rl.Policy;
import reverie.rl.advantage.GroupAdvantages;
import reverie.rl.objective.DdpoImportanceSampled;
import reverie.rl.objective.Dpok;
import reverie.rl.objective.Prdp;
import reverie.rl.objective.RewardWeightedRegression;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.objective.ValueFunction;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.cpu.CpuBackend;
import reverie.tensor.cpu.KernelSet;

/** The same bits whatever the number of machines and threads. */
class FleetTest {
  private static final int SHARDS = 6;

  @TempDir Path folder;

  static List<RolloutObjective> objectives() {
    return List.of(
        new Dpok(1e-2, 5, new ValueFunction(4, 1e-2, 2, 8)),
        new Prdp(),
        new RewardWeightedRegression(5, true, 2));
  }

  private static TrainerSettings settings(int shards) {
    return TrainerTest.settings()
        .with(it -> {
          it.promptsPerEpoch(12);
          it.samplesPerPrompt(3);
          it.passes(2);
          it.shards(shards);
        });
  }

  @ParameterizedTest
  @MethodSource("objectives")
  void theBitsAreThoseOfOneMachine(RolloutObjective objective) {
    List<float[]> expected = trained(Device.cpu(), objective, settings(SHARDS), LocalFleet::new);
    for (int[] cut : new int[][] {{1, 5}, {3, 1, 2}}) {
      TrainerTest.assertSame(
          expected,
          trained(Device.cpu(), objective, settings(SHARDS), job -> new Machines(job, cut)));
    }
  }

  /** Each is also the image that the model draws alone. */
  @Test
  void imagesToMeasureByAreThoseOfOneMachine() {
    List<Prompt> prompts =
        IntStream.range(0, 13).mapToObj(i -> new Prompt("prompt " + i % 4)).toList();
    Rng[] rows = new Rng[prompts.size()];
    Arrays.setAll(rows, i -> Rng.of(3).fork(i));
    Drawing drawing = new Drawing(prompts, rows, rows, null, null);
    try (Scope _ = Scope.open("test");
        var model = new TinyModel(Device.cpu());
        var sums = new GradientAccumulator(model.parameters.trainable())) {
      model.move(0.1);
      Policy policy = model.policy(1, 2);
      var job = new Fleet.Job(policy, new Prdp(), TrainerTest.BRIGHTNESS, settings(6), sums);
      try (Fleet one = new LocalFleet(job);
          Fleet more = new Machines(job, 1, 5)) {
        for (Fleet.Under whose : Fleet.Under.values()) {
          Fleet.Evaluated expected = one.evaluate(whose, drawing, _ -> {});
          Fleet.Evaluated actual = more.evaluate(whose, drawing, _ -> {});
          assertArrayEquals(expected.images(), actual.images());
          assertArrayEquals(expected.rewards(), actual.rewards());
          for (int i = 0; i < rows.length; i++) {
            Tensor alone =
                new Sampler(policy.process(), policy.device())
                    .sample(
                        whose == Fleet.Under.CURRENT ? policy.denoiser() : policy.reference(),
                        policy.encoder().encode(prompts.subList(i, i + 1)),
                        Arrays.copyOfRange(rows, i, i + 1),
                        policy.height(),
                        policy.width(),
                        policy.channels());
            assertArrayEquals(
                alone.toFloats(), Arrays.copyOfRange(expected.images(), 6 * i, 6 * i + 6));
          }
        }
      }
    }
  }

  @Test
  void theBitsDoNotDependOnThreads() {
    List<float[]> expected = null;
    for (int threads : new int[] {1, 2, 3}) {
      Device device = new Device(new CpuBackend(threads, KernelSet.chosen()));
      List<float[]> weights = trained(device, new Prdp(), settings(SHARDS), LocalFleet::new);
      if (expected != null) {
        TrainerTest.assertSame(expected, weights);
      }
      expected = weights;
    }
  }

  /** In float64 the number of shards is felt in the last digits only, while orders are the same. */
  @Test
  void shardsChangeRoundingAlone() {
    TrainerSettings one = settings(1).with(it -> it.updatesPerEpoch(1).passes(1));
    List<float[]> whole = trained(Device.reference(), new Prdp(), one, LocalFleet::new);
    List<float[]> parts =
        trained(Device.reference(), new Prdp(), one.withShards(4), LocalFleet::new);
    for (int i = 0; i < whole.size(); i++) {
      assertArrayEquals(whole.get(i), parts.get(i), 1e-6f);
    }
  }

  @Test
  void everyUpdateTakesAnEqualShareOfEveryShard() {
    List<int[]> sizes = new ArrayList<>();
    trained(
        Device.cpu(),
        new DdpoImportanceSampled(),
        settings(SHARDS),
        job ->
            new Machines(job, SHARDS) {
              @Override
              public List<Update.Outcome> differentiate(Update update, IntConsumer trained) {
                for (int shard = 0; shard < SHARDS; shard++) {
                  int own = shard;
                  int[] samples =
                      update.shards().get(shard).stream()
                          .flatMapToInt(batch -> Arrays.stream(batch.samples()))
                          .distinct()
                          .toArray();
                  assertTrue(Arrays.stream(samples).allMatch(sample -> sample / 6 == own));
                  sizes.add(new int[] {samples.length});
                }
                return super.differentiate(update, trained);
              }
            });
    assertEquals(2 * 2 * 2 * SHARDS, sizes.size());
    assertTrue(sizes.stream().allMatch(size -> size[0] == 3));
  }

  @Test
  void shardsThatDoNotDivideAreRefused() {
    var prompts = assertThrows(ReverieException.class, () -> settings(5));
    TrainerTest.assertContains(prompts, "12 prompts", "do not divide into 5 shards");
    var groups =
        assertThrows(
            ReverieException.class,
            () ->
                trained(
                    Device.cpu(),
                    new Prdp(),
                    settings(6).with(it -> it.promptsPerEpoch(6).samplesPerPrompt(4)),
                    LocalFleet::new));
    TrainerTest.assertContains(groups, "6 prompts", "2 updates of 6 shards");
  }

  @Test
  void otherKernelsAndShardsAreRefusedWhenResumed() {
    Path file = folder.resolve("state");
    try (var model = new TinyModel(Device.cpu());
        Trainer trainer = trainer(model, new Prdp(), settings(SHARDS), LocalFleet::new)) {
      trainer.save(file);
    }
    KernelSet other = KernelSet.chosen() == KernelSet.VECTOR ? null : KernelSet.VECTOR;
    refused(Device.cpu(), settings(1), file, "another shards", "then 6", "now  1");
    if (other != null) {
      Device device = new Device(new CpuBackend(1, other));
      refused(
          device,
          settings(SHARDS),
          file,
          "another kernels",
          "now  cpu, vector",
          "-Dreverie.kernels");
    }
  }

  private static void refused(
      Device device, TrainerSettings settings, Path file, String... expected) {
    try (var model = new TinyModel(device);
        Trainer trainer = trainer(model, new Prdp(), settings, LocalFleet::new)) {
      TrainerTest.assertContains(
          assertThrows(ReverieException.class, () -> trainer.resume(file)), expected);
    }
  }

  private static List<float[]> trained(
      Device device,
      RolloutObjective objective,
      TrainerSettings settings,
      Function<Fleet.Job, Fleet> fleets) {
    try (var model = new TinyModel(device);
        Trainer trainer = trainer(model, objective, settings, fleets)) {
      trainer.run(2);
      return TrainerTest.weights(model);
    }
  }

  private static Trainer trainer(
      TinyModel model,
      RolloutObjective objective,
      TrainerSettings settings,
      Function<Fleet.Job, Fleet> fleets) {
    return new Trainer(
        model.policy(1, 2),
        objective,
        new GroupAdvantages(),
        PromptSource.of("a cat", "a dog", "owl"),
        TrainerTest.BRIGHTNESS,
        settings,
        TrainerListener.NONE,
        fleets);
  }

  /** Machines with models of their own, each with some shards in a row. */
  private static class Machines implements Fleet {
    private final Job job;
    private final int each;
    private final List<Machine> all = new ArrayList<>();

    Machines(Job job, int... cut) {
      this.job = job;
      each = job.settings().samplesPerEpoch() / job.settings().shards();
      int first = 0;
      for (int shards : cut) {
        all.add(new Machine(job, first, shards, each));
        first += shards;
      }
    }

    private Machine of(int sample) {
      return all.stream().filter(machine -> machine.has(sample / each)).findFirst().orElseThrow();
    }

    @Override
    public Samples draw(Drawing drawing, IntConsumer sampled) {
      List<RewardBatch> images = new ArrayList<>();
      List<double[]> logProbs = new ArrayList<>();
      for (Machine machine : all) {
        machine.follow(job.policy());
        for (int shard = machine.first; machine.has(shard); shard++) {
          Rollout own =
              machine.worker.draw(
                  drawing.range(shard * each, (shard + 1) * each), shard * each, images::add);
          machine.rollouts.add(own);
          logProbs.addAll(Arrays.asList(own.logProbs()));
        }
      }
      double[] rewards =
          images.stream().flatMapToDouble(b -> Arrays.stream(TrainerTest.brightness(b))).toArray();
      return new Samples(drawing.prompts(), logProbs.toArray(double[][]::new), rewards, images);
    }

    @Override
    public double[][] logProbs(Under model, int[]... shards) {
      return IntStream.range(0, shards.length)
          .mapToObj(shard -> of(shard * each).logProbs(job.policy(), model, shard, shards[shard]))
          .flatMap(Arrays::stream)
          .toArray(double[][]::new);
    }

    @Override
    public List<Update.Outcome> differentiate(Update update, IntConsumer trained) {
      List<Update.Outcome> outcomes = new ArrayList<>();
      try (var tree = new GradientTree()) {
        for (Machine machine : all) {
          outcomes.addAll(machine.differentiate(job.policy(), update, trained));
          for (GradientTree.Node node : machine.tree.nodes()) {
            Tensor sum = job.policy().device().tensor(node.sum().toFloats(), node.sum().dim(0));
            tree.add(node.first(), node.shards(), sum);
          }
        }
        tree.moveTo(job.gradients().all());
      }
      return outcomes;
    }

    @Override
    public Evaluated evaluate(Under model, Drawing drawing, IntConsumer drawn) {
      List<Evaluated> parts = new ArrayList<>();
      for (Drawing some : drawing.batches(5)) {
        Machine machine = all.get(parts.size() % all.size());
        machine.follow(job.policy());
        List<double[]> rewards = new ArrayList<>();
        float[] images =
            machine.worker.images(model, some, batch -> rewards.add(TrainerTest.brightness(batch)));
        parts.add(new Evaluated(images, rewards.getFirst()));
        drawn.accept(some.prompts().size());
      }
      return Evaluated.joined(parts);
    }

    @Override
    public Tensor before(int[] samples, int[] steps) {
      return Ops.concat(
          0,
          IntStream.range(0, samples.length)
              .mapToObj(i ->
                  of(samples[i])
                      .rollout(samples[i] / each)
                      .before(new int[] {samples[i]}, new int[] {steps[i]}))
              .toArray(Tensor[]::new));
    }

    @Override
    public Tensor contexts(int... samples) {
      return Ops.concat(
          0,
          IntStream.of(samples)
              .mapToObj(sample -> of(sample).rollout(sample / each).contexts(sample))
              .toArray(Tensor[]::new));
    }

    @Override
    public void forget() {
      all.forEach(machine -> machine.rollouts.clear());
    }

    @Override
    public Optional<String> captureFailure() {
      return all.getFirst().worker.captureFailure();
    }

    @Override
    public void close() {
      all.forEach(Machine::close);
    }
  }

  /** One of them. */
  private static final class Machine {
    private final int first;
    private final int shards;
    private final int each;
    private final TinyModel model = new TinyModel(Device.cpu());
    private final Policy policy = model.policy(1, 2);
    private final GradientAccumulator sums =
        new GradientAccumulator(policy.parameters().trainable());
    private final GradientTree tree = new GradientTree();
    private final Worker worker;
    private final List<Rollout> rollouts = new ArrayList<>();

    Machine(Fleet.Job job, int first, int shards, int each) {
      this.first = first;
      this.shards = shards;
      this.each = each;
      worker =
          new Worker(new Fleet.Job(policy, job.objective(), job.reward(), job.settings(), sums));
    }

    boolean has(int shard) {
      return shard >= first && shard < first + shards;
    }

    Rollout rollout(int shard) {
      return rollouts.get(shard - first);
    }

    void follow(Policy driver) {
      List<Parameter> theirs = driver.parameters().trainable();
      List<Parameter> own = policy.parameters().trainable();
      for (int i = 0; i < own.size(); i++) {
        own.get(i).value().assign(theirs.get(i).value());
      }
    }

    double[][] logProbs(Policy driver, Fleet.Under whose, int shard, int... samples) {
      follow(driver);
      return worker.logProbs(rollout(shard), whose, samples);
    }

    List<Update.Outcome> differentiate(Policy driver, Update update, IntConsumer trained) {
      follow(driver);
      tree.close();
      List<Update.Outcome> outcomes = new ArrayList<>();
      for (int shard = first; has(shard); shard++) {
        sums.clear();
        outcomes.addAll(
            worker.differentiate(rollout(shard), update.shards().get(shard), update, trained));
        tree.add(shard, 1, sums.all());
      }
      return outcomes;
    }

    void close() {
      worker.close();
      tree.close();
      sums.close();
      model.close();
    }
  }
}
