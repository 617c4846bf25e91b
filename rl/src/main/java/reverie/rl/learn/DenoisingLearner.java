// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntConsumer;
import java.util.function.IntToDoubleFunction;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import reverie.autograd.optim.BackwardPass;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.Denoiser;
import reverie.diffusion.DenoisingLoss;
import reverie.diffusion.NoiseSchedule;
import reverie.rl.Policy;
import reverie.rl.objective.Denoised;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.DenoisingObjective.Lag;
import reverie.rl.objective.DenoisingObjective.Model;
import reverie.tensor.Ops;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.graph.MicroBatched;
import reverie.tensor.op.Copy;

/**
 * Learns by a {@link DenoisingObjective}: finished samples are noised again, guidance included,
 * with fresh noise for every draw. For each draw the models that the loss compares with are asked
 * first, without gradients; where samples of a prompt hang together, so is the model itself; then
 * the loss is differentiated micro-batch by micro-batch. Every pass is captured at its first use.
 */
final class DenoisingLearner implements Learner<Learner.Scored> {
  private static final String UPDATES = "denoising_updates";

  private final Policy policy;
  private final DenoisingObjective objective;
  private final TrainerSettings settings;
  private final DenoisingLoss loss;
  private final BackwardPass<Inputs, BackwardPass.Nothing> pass;
  private final MicroBatched<Asked, Answer> own;
  private final MicroBatched<Asked, Answer> base;
  private final Optional<LaggedWeights> old;
  private final Optional<LaggedWeights> anchor;
  private long updates;
  private Rollout rollout;
  private double[] weights;
  private Diagnostics diagnostics;
  private IntConsumer trained;

  DenoisingLearner(
      Policy policy,
      DenoisingObjective objective,
      TrainerSettings settings,
      GradientAccumulator gradients) {
    String name = objective.name();
    Learner.requireNoKl(name, settings, "set klWeight to 0");
    if (objective.couples()) {
      Learner.requireWholeGroups(name, settings);
    }
    boolean comparesWithOld = objective.compared().contains(Model.OLD);
    if (settings.offline() && comparesWithOld) {
      throw new ReverieException(
          name + ": learns from samples of the model as it is, but the run is offline",
          "set offline to false, or learn by rwr");
    }
    if (objective.compared().contains(Model.BASE)) {
      policy.requireReference(name + ": the policy has no reference model to compare with");
    }
    this.policy = policy;
    this.objective = objective;
    this.settings = settings;
    loss =
        new DenoisingLoss(
            policy.process().schedule(), policy.prediction(), Double.POSITIVE_INFINITY);
    pass =
        BackwardPass.of(
            MethodHandles.lookup(),
            policy.device(),
            gradients,
            in -> {
              Tensor output = policy.denoiser().predict(in.x, in.timesteps, in.contexts);
              return objective.loss(in.denoised(output)).sum().mul(in.factor);
            });
    own = asking(policy.denoiser());
    base = asking(policy.reference());
    old = lagging("old", comparesWithOld || objective.old().limit() > 0, objective.old());
    anchor = lagging("anchor", objective.compared().contains(Model.ANCHOR), objective.anchor());
  }

  private MicroBatched<Asked, Answer> asking(Denoiser denoiser) {
    return new MicroBatched<>(
        MethodHandles.lookup(),
        policy.device(),
        in -> new Answer(denoiser.predict(in.x, in.timesteps, in.contexts)));
  }

  private Optional<LaggedWeights> lagging(String name, boolean needed, Lag lag) {
    return needed
        ? Optional.of(new LaggedWeights(name, policy.parameters(), lag))
        : Optional.empty();
  }

  /** What a model is asked. */
  private record Asked(Tensor x, Tensor timesteps, Tensor contexts) {}

  private record Answer(Tensor output) {}

  /** What the loss of a micro-batch depends on; null for what it does not look at. */
  private record Inputs(
      Tensor x,
      Tensor timesteps,
      Tensor contexts,
      Tensor target,
      Tensor old,
      Tensor base,
      Tensor anchor,
      Tensor noise,
      Tensor scale,
      Tensor weight,
      Tensor group,
      Tensor factor) {

    Denoised denoised(Tensor output) {
      return new Denoised(output, target, old, base, anchor, noise, scale, weight, group);
    }
  }

  /** Samples with one timestep and noise each, and the other models' answers. */
  private record Batch(
      int[] samples,
      DenoisingLoss.NoisedBatch noised,
      double[] timesteps,
      Tensor contexts,
      Map<Model, Tensor> answers) {

    Asked asked() {
      return new Asked(noised.x(), noised.timesteps(), contexts);
    }
  }

  @Override
  public <T> T drawing(Supplier<T> body) {
    return old.isPresent() && objective.old().limit() > 0 ? old.get().during(body) : body.get();
  }

  @Override
  public void begin(Scored experience, Diagnostics told, IntConsumer progress) {
    rollout = experience.rollout();
    diagnostics = told;
    trained = progress;
    weights =
        objective.weights(rollout.texts(), rollout.rewards(), experience.advantages().clone());
    if (objective.skipsWeightZero()) {
      diagnostics.weights(weights);
    }
  }

  @Override
  public int samples() {
    return rollout.size();
  }

  @Override
  public int itemsPerSample() {
    return objective.draws();
  }

  @Override
  public int groupSize() {
    return objective.couples() ? settings.samplesPerPrompt() : 1;
  }

  @Override
  public void accumulate(int[] samples, Rng rng) {
    int draws = objective.draws();
    int[] counted =
        IntStream.of(samples)
            .filter(sample -> !objective.skipsWeightZero() || weights[sample] > 0)
            .toArray();
    trained.accept((samples.length - counted.length) * draws);
    for (int draw = 0; draw < draws; draw++) {
      try (Scope _ = Scope.open("denoising")) {
        List<Batch> batches = noised(counted, rng, draw);
        ask(Model.BASE, batches, () -> answers(base, batches));
        old.ifPresent(
            lagged -> ask(Model.OLD, batches, () -> lagged.during(() -> answers(own, batches))));
        anchor.ifPresent(
            lagged -> ask(Model.ANCHOR, batches, () -> lagged.during(() -> answers(own, batches))));
        double[] groups = objective.couples() ? groups(batches) : null;
        for (Batch batch : batches) {
          differentiate(batch, groups, 1.0 / (samples.length * draws));
          trained.accept(batch.samples.length);
        }
      }
    }
    updates++;
  }

  private List<Batch> noised(int[] samples, Rng rng, int draw) {
    List<Batch> batches = new ArrayList<>();
    Learner.inBatches(
        samples,
        settings.trainingBatch(),
        batch -> {
          // Samples of a group that hang together have all chance in common.
          int[] rows = IntStream.of(batch).map(sample -> sample / groupSize()).toArray();
          Tensor images = rollout.finished(batch);
          DenoisingLoss.NoiseDraw drawn =
              loss.draw(
                  images,
                  IntStream.of(rows).mapToObj(row -> rng.fork(row, draw)).toArray(Rng[]::new));
          if (objective.usesSamplerSteps()) {
            drawn = new DenoisingLoss.NoiseDraw(samplerSteps(rows, rng, draw), drawn.noise());
          }
          batches.add(
              new Batch(
                  batch,
                  loss.noised(images, drawn),
                  drawn.timesteps(),
                  rollout.contexts(batch),
                  new EnumMap<>(Model.class)));
        });
    return batches;
  }

  /** The sampler's timesteps but the cleanest, each row's in an order of its own. */
  private double[] samplerSteps(int[] rows, Rng rng, int draw) {
    double[] timesteps = policy.process().grid().timesteps();
    int count = Math.max(1, timesteps.length - 1);
    return IntStream.of(rows)
        .mapToDouble(row -> timesteps[rng.fork(row).permutation(count)[draw % count]])
        .toArray();
  }

  private void ask(Model model, List<Batch> batches, Supplier<List<Tensor>> question) {
    if (objective.compared().contains(model)) {
      List<Tensor> answers = question.get();
      for (int i = 0; i < answers.size(); i++) {
        batches.get(i).answers.put(model, answers.get(i));
      }
    }
  }

  private static List<Tensor> answers(MicroBatched<Asked, Answer> model, List<Batch> batches) {
    return batches.stream()
        .map(batch -> Ops.apply(new Copy(), model.run(batch.asked()).output))
        .toList();
  }

  /** The mean of the coupling over each group, by the group's number in the rollout. */
  private double[] groups(List<Batch> batches) {
    double[] means = new double[rollout.size() / groupSize()];
    List<Tensor> outputs = answers(own, batches);
    for (int i = 0; i < batches.size(); i++) {
      Batch batch = batches.get(i);
      double[] each =
          objective.coupling(inputs(batch, null, 1).denoised(outputs.get(i))).toDoubles();
      for (int k = 0; k < each.length; k++) {
        means[batch.samples[k] / groupSize()] += each[k] / groupSize();
      }
    }
    return means;
  }

  private void differentiate(Batch batch, double[] groups, double factor) {
    diagnostics.addLoss(pass.add(inputs(batch, groups, factor)).sum().item());
  }

  private Inputs inputs(Batch batch, double[] groups, double factor) {
    NoiseSchedule schedule = loss.schedule();
    DenoisingLoss.NoisedBatch noised = batch.noised;
    return new Inputs(
        noised.x(),
        noised.timesteps(),
        batch.contexts,
        noised.target(),
        batch.answers.get(Model.OLD),
        batch.answers.get(Model.BASE),
        batch.answers.get(Model.ANCHOR),
        column(batch.timesteps, schedule::noise),
        column(
            batch.timesteps,
            t -> Math.abs(loss.prediction().outputFactor(schedule.signal(t), schedule.noise(t)))),
        each(batch, sample -> weights[sample]),
        groups == null ? null : each(batch, sample -> groups[sample / groupSize()]),
        policy.device().scalar(factor));
  }

  private Tensor column(double[] timesteps, DoubleUnaryOperator value) {
    return policy.device().tensor(Arrays.stream(timesteps).map(value).toArray(), timesteps.length);
  }

  private Tensor each(Batch batch, IntToDoubleFunction value) {
    return policy
        .device()
        .tensor(IntStream.of(batch.samples).mapToDouble(value).toArray(), batch.samples.length);
  }

  @Override
  public void finishEpoch(int number) {
    rollout = null;
    weights = null;
    lagged().forEach(weights -> weights.follow(updates));
  }

  private Stream<LaggedWeights> lagged() {
    return Stream.concat(old.stream(), anchor.stream());
  }

  @Override
  public Map<String, Tensor> tensors() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    lagged().forEach(weights -> tensors.putAll(weights.tensors()));
    return tensors;
  }

  @Override
  public Map<String, Long> counters() {
    return Map.of(UPDATES, updates);
  }

  @Override
  public void restore(TrainerState state) {
    lagged().forEach(weights -> weights.restore(state));
    updates = state.counters().get(UPDATES);
  }

  @Override
  public Optional<String> captureFailure() {
    return pass.captureFailure().or(own::captureFailure).or(base::captureFailure);
  }

  @Override
  public void close() {
    pass.close();
    own.close();
    base.close();
    lagged().forEach(LaggedWeights::close);
  }
}
