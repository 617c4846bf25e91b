// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import reverie.autograd.nn.Parameters;
import reverie.autograd.optim.GradientAccumulator;
import reverie.autograd.optim.LearningRate;
import reverie.autograd.optim.TrainingStep;
import reverie.rl.Policy;
import reverie.rl.advantage.Advantages;
import reverie.rl.objective.Objective;
import reverie.rl.objective.PreferenceObjective;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.preference.PreferenceDataset;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;

/**
 * Fine-tunes a diffusion model by reward: draw samples, have them scored, turn rewards into
 * advantages, follow the objective's gradient, over and over.
 *
 * <p>What it promises:
 *
 * <ul>
 *   <li>The same settings and kernels give the same weights, bit for bit, for any number of threads
 *       and machines, also when the run was saved and resumed in between: all chance is addressed
 *       by seed and position, never drawn from a state.
 *   <li>Before an epoch's first update the ratio {@code exp(lp - lp_old)} is 1; if not, sampling
 *       and training disagree about the policy and it refuses to train.
 *   <li>It stops between two backward passes when its thread is interrupted. The epoch is lost
 *       then, and the state can be saved only again after an epoch that was finished.
 * </ul>
 *
 * <p>Confined to one thread. Close it to free the optimizer's memory; the model stays.
 */
public final class Trainer implements AutoCloseable {
  private final TrainerSettings settings;
  private final TrainerListener listener;
  private final TrainingStep step;
  private final Rng root;
  private final Experience experience;
  private final Position position = new Position();
  private final ClipWarning clipping = new ClipWarning();
  private final Checkpoint checkpoint;
  private boolean unfinished;

  /** A run that nobody listens to. */
  public Trainer(
      Policy policy,
      RolloutObjective objective,
      Advantages advantages,
      PromptSource prompts,
      Reward reward,
      TrainerSettings settings) {
    this(policy, objective, advantages, prompts, reward, settings, TrainerListener.NONE);
  }

  /**
   * A run at its beginning.
   *
   * @throws ReverieException if the parts do not fit: an objective that needs likelihoods on a
   *     chain without any (eta 0), or a KL weight without a reference model
   */
  public Trainer(
      Policy policy,
      RolloutObjective objective,
      Advantages advantages,
      PromptSource prompts,
      Reward reward,
      TrainerSettings settings,
      TrainerListener listener) {
    this(policy, objective, advantages, prompts, reward, settings, listener, LocalFleet::new);
  }

  /**
   * The same on other machines.
   *
   * @param fleets makes the run's fleet, which is closed with the trainer
   */
  public Trainer(
      Policy policy,
      RolloutObjective objective,
      Advantages advantages,
      PromptSource prompts,
      Reward reward,
      TrainerSettings settings,
      TrainerListener listener,
      Function<Fleet.Job, Fleet> fleets) {
    this(
        policy,
        objective,
        settings,
        listener,
        gradients ->
            new RolloutExperience(
                new Fleet.Job(policy, objective, reward, settings, gradients),
                advantages,
                prompts,
                listener,
                fleets));
  }

  /** A run from preferences that nobody listens to. */
  public Trainer(
      Policy policy,
      PreferenceObjective objective,
      PreferenceDataset preferences,
      TrainerSettings settings) {
    this(policy, objective, preferences, settings, TrainerListener.NONE);
  }

  /**
   * A run at its beginning that draws nothing and scores nothing: an epoch is {@link
   * TrainerSettings#samplesPerEpoch} pairs of images that were compared before.
   *
   * @throws ReverieException if the policy has no reference model, or there is a KL weight
   */
  public Trainer(
      Policy policy,
      PreferenceObjective objective,
      PreferenceDataset preferences,
      TrainerSettings settings,
      TrainerListener listener) {
    this(
        policy,
        objective,
        settings,
        listener,
        gradients -> new PreferenceExperience(policy, objective, preferences, settings, gradients));
  }

  private Trainer(
      Policy policy,
      Objective objective,
      TrainerSettings settings,
      TrainerListener listener,
      Function<GradientAccumulator, Experience> from) {
    this.settings = settings;
    this.listener = listener;
    step =
        new TrainingStep(
            policy.parameters(),
            new TrainingStep.Settings(
                settings.optimizer(), settings.gradientClip(), settings.emaDecay()));
    try {
      experience = from.apply(step.gradients());
    } catch (RuntimeException e) {
      step.close();
      throw e;
    }
    root = Rng.of(settings.seed());
    checkpoint = new Checkpoint(policy, objective, settings, position, step, experience);
  }

  /**
   * Names what else the rest of the run depends on, such as a digest of the base model: it is saved
   * with the run, and {@link #resume} refuses a state that was saved with another.
   */
  public void identify(Map<String, String> more) {
    checkpoint.identify(more);
  }

  /** Epochs finished so far. */
  public int epochs() {
    return position.epoch;
  }

  /** Samples scored so far. */
  public long rewardQueries() {
    return experience.rewardQueries();
  }

  /** The moving average of the weights, if one was asked for. */
  public Optional<Parameters> average() {
    return step.average();
  }

  /** Runs this many epochs. */
  public void run(int count) {
    for (int i = 0; i < count; i++) {
      epoch();
    }
  }

  /**
   * Runs one epoch.
   *
   * @throws ReverieException if the reward fails, a number is not finite, or the ratio is not 1
   * @throws java.util.concurrent.CancellationException if the thread was interrupted
   */
  public EpochReport epoch() {
    requireFinished("go on");
    int epoch = position.epoch;
    try (Scope _ = Scope.open("epoch " + epoch)) {
      Diagnostics diagnostics = new Diagnostics();
      experience.collect(epoch, diagnostics);
      unfinished = true;
      Progress progress = new Progress();
      Learner<?> learner = experience.begin(epoch, diagnostics, progress);
      progress.total = learner.samples() * learner.itemsPerSample() * settings.passes();
      train(learner, diagnostics);
      experience.finishEpoch(epoch, diagnostics);
      EpochReport report = diagnostics.report(epoch, position.updates, experience.rewardQueries());
      position.epoch++;
      unfinished = false;
      clipping.watch(report);
      listener.finished(report);
      return report;
    }
  }

  /**
   * The gradient of the whole loss of an epoch by everything that is trained, at the weights as
   * they are: to see how much chance there is in it. Draws and scores as an epoch does, and moves
   * nothing.
   *
   * @param number of the epoch: the address of its chance
   */
  public double[] gradient(int number) {
    requireFinished("go on");
    try (Scope _ = Scope.open("gradient")) {
      Diagnostics diagnostics = new Diagnostics();
      experience.collect(number, diagnostics);
      Learner<?> learner = experience.begin(number, diagnostics, _ -> {});
      Rng rng = root.fork("training").fork(number, 0);
      learner.differentiate(orders(learner.samples(), learner.groupSize(), rng), rng);
      double[] gradient = step.gradients().all().toDoubles();
      experience.finishEpoch(number, diagnostics);
      return gradient;
    }
  }

  /** How far the run has come. */
  static final class Position implements Resumable {
    private int epoch;
    private long updates;

    @Override
    public Map<String, Long> counters() {
      Map<String, Long> counters = new LinkedHashMap<>();
      counters.put("epoch", (long) epoch);
      counters.put("updates", updates);
      return counters;
    }

    @Override
    public void restore(TrainerState state) {
      epoch = Math.toIntExact(state.counters().get("epoch"));
      updates = state.counters().get("updates");
    }
  }

  /** Tells the listener how much of the epoch is trained. */
  private final class Progress implements IntConsumer {
    private int done;
    private int total;

    @Override
    public void accept(int items) {
      done += items;
      listener.trained(position.epoch, done, total);
    }
  }

  private void train(Learner<?> learner, Diagnostics diagnostics) {
    int share = learner.samples() / settings.updatesPerEpoch();
    for (int pass = 0; pass < settings.passes(); pass++) {
      Rng rng = root.fork("training").fork(position.epoch, pass);
      int[][] orders = orders(learner.samples(), learner.groupSize(), rng);
      for (int number = 0; number < settings.updatesPerEpoch(); number++) {
        int each = share / orders.length;
        int from = number * each;
        int[][] shards =
            Arrays.stream(orders)
                .map(order -> Arrays.copyOfRange(order, from, from + each))
                .toArray(int[][]::new);
        learner.differentiate(shards, rng.fork(number * share));
        if (pass == 0 && number == 0) {
          requireRatioOne(diagnostics.firstDeviation());
        }
        update(diagnostics);
      }
    }
  }

  /** Each shard's samples in a random order that keeps groups together. */
  private int[][] orders(int samples, int groupSize, Rng rng) {
    int[] order =
        Arrays.stream(rng.permutation(samples / groupSize))
            .flatMap(group -> IntStream.range(group * groupSize, (group + 1) * groupSize))
            .toArray();
    int each = samples / settings.shards();
    return IntStream.range(0, settings.shards())
        .mapToObj(shard -> IntStream.of(order).filter(sample -> sample / each == shard).toArray())
        .toArray(int[][]::new);
  }

  private void update(Diagnostics diagnostics) {
    double rate =
        LearningRate.constant(settings.learningRate())
            .warmedUp(settings.warmup())
            .at(position.updates);
    diagnostics.addUpdate(step.update(rate));
    position.updates++;
  }

  /**
   * Why a part of the work cannot be {@linkplain reverie.tensor.graph.CapturedGraph captured} and
   * runs slower than it could: a denoiser or an objective that looks at values. Empty if all can,
   * or as long as nothing ran.
   */
  public Optional<String> captureFailure() {
    return experience.captureFailures().stream().flatMap(Optional::stream).findFirst();
  }

  private void requireRatioOne(double deviation) {
    if (deviation > settings.ratioTolerance()) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "trainer: before the first update of epoch %d the ratio of new to old likelihood"
                  + " should be 1, but is off by up to %s (allowed %s)",
              position.epoch,
              deviation,
              settings.ratioTolerance()),
          "the model answers differently in training than in sampling: look for dropout, a changed"
              + " context or guidance, or a lower precision; batch sizes that round differently are"
              + " no reason beyond 1e-5");
    }
  }

  /**
   * Writes the whole state of the run to one file, so that it can go on bit for bit: weights,
   * optimizer, average, remembered rewards and counters. Either all of it is written or the old
   * file stays.
   *
   * @throws ReverieException if an epoch was cut off, or the file cannot be written
   */
  public void save(Path file) {
    save(file, Map.of());
  }

  /**
   * Writes the whole state of the run and some numbers of the caller's own to one file.
   *
   * @param notes what {@link #resume} gives back
   * @throws ReverieException if an epoch was cut off, or the file cannot be written
   */
  public void save(Path file, Map<String, Double> notes) {
    requireFinished("be saved");
    checkpoint.save(file, notes);
  }

  /**
   * Goes on from a saved state, in a trainer built like the one that saved it.
   *
   * @return the notes that were saved with it
   * @throws ReverieException if the file is damaged or belongs to a run with other settings, which
   *     are named; nothing is changed then
   */
  public Map<String, Double> resume(Path file) {
    Map<String, Double> notes = checkpoint.resume(file);
    unfinished = false;
    return notes;
  }

  private void requireFinished(String what) {
    if (unfinished) {
      throw new ReverieException(
          String.format(
              Locale.ROOT, "trainer: epoch %d was cut off and cannot %s", position.epoch, what),
          "resume from the last saved state");
    }
  }

  /** Frees the optimizer's memory and ends the reward's thread. */
  @Override
  public void close() {
    experience.close();
    step.close();
  }
}
