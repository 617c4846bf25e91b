// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;
import java.util.zip.CRC32;
import reverie.autograd.nn.Parameters;
import reverie.autograd.optim.AdamW;
import reverie.autograd.optim.Ema;
import reverie.autograd.optim.GradientAccumulator;
import reverie.autograd.optim.LearningRate;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SamplingStep;
import reverie.rl.advantage.Advantages;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.Objective;
import reverie.rl.objective.StepObjective;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.rl.reward.RewardRunner;
import reverie.tensor.Repeated;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * Fine-tunes a diffusion model by reward: draw samples, have them scored, turn rewards into
 * advantages, follow the objective's gradient, over and over.
 *
 * <p>What it promises:
 *
 * <ul>
 *   <li>The same settings give the same weights, bit for bit, also when the run was saved and
 *       resumed in between: all chance is addressed by seed and position, never drawn from a state.
 *   <li>Before an epoch's first update the ratio {@code exp(lp - lp_old)} is 1; if not, sampling
 *       and training disagree about the policy and it refuses to train.
 *   <li>It stops between two backward passes when its thread is interrupted. The epoch is lost
 *       then, and the state can be saved only again after an epoch that was finished.
 * </ul>
 *
 * <p>Confined to one thread. Close it to free the optimiser's memory; the model stays.
 */
public final class Trainer implements AutoCloseable {
  private static final String WEIGHT = "weight.";
  private static final String AVERAGE = "average.";

  private final Policy policy;
  private final Objective objective;
  private final Advantages advantages;
  private final PromptSource prompts;
  private final TrainerSettings settings;
  private final TrainerListener listener;
  private final String rewardName;
  private final RewardRunner rewards;
  private final GradientAccumulator gradients;
  private final AdamW optimiser;
  private final Ema ema;
  private final Rng root;
  private final SamplingStep sampling;
  private final Repeated optimisation;
  private StepGradient stepGradient;
  private DenoisingGradient denoisingGradient;
  private int epoch;
  private long updates;
  private long rewardQueries;
  private boolean unfinished;

  /** A run that nobody listens to. */
  public Trainer(
      Policy policy,
      Objective objective,
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
      Objective objective,
      Advantages advantages,
      PromptSource prompts,
      Reward reward,
      TrainerSettings settings,
      TrainerListener listener) {
    if (objective instanceof StepObjective) {
      policy.process().requireDecisions(objective.name());
    }
    if (settings.klWeight() > 0 && policy.reference() == null) {
      throw new ReverieException(
          "trainer: klWeight is " + settings.klWeight() + " but the policy has no reference model",
          "give the policy a frozen copy of the model, or its LoRA switched off");
    }
    if (settings.klWeight() > 0 && objective instanceof DenoisingObjective) {
      throw new ReverieException(
          "trainer: klWeight is "
              + settings.klWeight()
              + " but "
              + objective.name()
              + " looks at no decisions of the chain",
          "set klWeight to 0");
    }
    this.policy = policy;
    this.objective = objective;
    this.advantages = advantages;
    this.prompts = prompts;
    this.settings = settings;
    this.listener = listener;
    rewardName = reward.name();
    rewards = new RewardRunner(reward, settings.rewardTimeout());
    gradients = new GradientAccumulator(policy.parameters().trainable());
    optimiser = new AdamW(policy.parameters().trainable(), settings.optimiser());
    ema = settings.emaDecay() > 0 ? new Ema(policy.parameters(), settings.emaDecay(), true) : null;
    root = Rng.of(settings.seed());
    sampling = Rollout.step(policy);
    optimisation = new Repeated(policy.device(), _ -> optimise());
    switch (objective) {
      case StepObjective steps ->
          stepGradient = new StepGradient(policy, steps, settings.klWeight(), gradients);
      case DenoisingObjective _ -> denoisingGradient = new DenoisingGradient(policy, gradients);
    }
  }

  /** Epochs finished so far. */
  public int epochs() {
    return epoch;
  }

  /** Samples scored so far. */
  public long rewardQueries() {
    return rewardQueries;
  }

  /** The moving average of the weights, if one was asked for. */
  public Optional<Parameters> average() {
    return Optional.ofNullable(ema).map(Ema::parameters);
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
    try (Scope _ = Scope.open("epoch " + epoch)) {
      long started = System.nanoTime();
      Clock clock = new Clock(started);
      Rollout rollout = draw(clock);
      unfinished = true;
      double[] earned = rollout.rewards();
      rewardQueries += earned.length;
      tell(rollout, earned);
      double[] advantage = advantages.of(rollout.texts(), earned);
      Diagnostics diagnostics = new Diagnostics();
      train(rollout, advantage, diagnostics);
      if (policy.reference() != null && !diagnostics.knowsDivergence()) {
        measureDivergence(rollout, diagnostics);
      }
      EpochReport report = report(earned, advantage, diagnostics, clock);
      epoch++;
      unfinished = false;
      listener.finished(report);
      return report;
    }
  }

  /** When the phases of an epoch ended. */
  private static final class Clock {
    final long started;
    long sampled;
    long scored;

    Clock(long started) {
      this.started = started;
    }

    static double seconds(long from, long to) {
      return (to - from) / 1e9;
    }
  }

  private Rollout draw(Clock clock) {
    List<Prompt> drawn =
        prompts.draw(root.fork("prompts"), epoch, settings.promptsPerEpoch()).stream()
            .flatMap(prompt -> Collections.nCopies(settings.samplesPerPrompt(), prompt).stream())
            .toList();
    Rng rng = root.fork("rollout").fork(epoch);
    IntConsumer sampled =
        done -> {
          clock.sampled = System.nanoTime();
          listener.sampled(epoch, done, drawn.size());
        };
    Rollout rollout =
        Rollout.draw(policy, sampling, drawn, rng, settings.samplingBatch(), rewards, sampled);
    clock.scored = System.nanoTime();
    return rollout;
  }

  private void tell(Rollout rollout, double[] earned) {
    int from = 0;
    for (RewardBatch batch : rollout.batches()) {
      listener.scored(epoch, batch, Arrays.copyOfRange(earned, from, from + batch.size()));
      from += batch.size();
    }
  }

  private void train(Rollout rollout, double[] advantage, Diagnostics diagnostics) {
    int[] done = {0};
    int[] total = {0};
    IntConsumer progress =
        items -> {
          done[0] += items;
          listener.trained(epoch, done[0], total[0]);
        };
    Driver driver =
        switch (objective) {
          case StepObjective steps ->
              new StepDriver(
                  policy, steps, stepGradient, settings, rollout, advantage, diagnostics, progress);
          case DenoisingObjective denoising ->
              new DenoisingDriver(
                  policy, denoising, denoisingGradient, settings, rollout, diagnostics, progress);
        };
    total[0] = rollout.size() * driver.itemsPerSample() * settings.passes();
    int share = rollout.size() / settings.updatesPerEpoch();
    for (int pass = 0; pass < settings.passes(); pass++) {
      Rng rng = root.fork("training").fork(epoch, pass);
      int[] order = rng.permutation(rollout.size());
      for (int from = 0; from < order.length; from += share) {
        int[] samples = Arrays.copyOfRange(order, from, from + share);
        gradients.clear();
        driver.accumulate(samples, rng.fork(from));
        if (pass == 0 && from == 0) {
          requireRatioOne(diagnostics.firstDeviation());
        }
        update(diagnostics);
      }
    }
  }

  private void update(Diagnostics diagnostics) {
    optimiser.advance(
        LearningRate.constant(settings.learningRate()).warmedUp(settings.warmup()).at(updates));
    if (ema != null) {
      ema.advance();
    }
    try (Scope _ = Scope.open("update")) {
      diagnostics.updated(gradients.requireFinite(optimisation.run().getFirst()));
    }
    updates++;
  }

  /** Everything of an update that is the same every time; gives the gradient's norm. */
  private Tensor[] optimise() {
    Tensor norm = gradients.norm();
    optimiser.apply(
        gradients::gradient, GradientAccumulator.clipFactor(norm, settings.gradientClip()));
    if (ema != null) {
      ema.apply();
    }
    return new Tensor[] {norm};
  }

  /**
   * Why a part of the work cannot be {@linkplain reverie.tensor.Captured captured} and runs slower
   * than it could: a denoiser or an objective that looks at values. Empty if all can, or as long as
   * nothing ran.
   */
  public Optional<String> obstacle() {
    return sampling
        .obstacle()
        .or(() -> stepGradient == null ? Optional.empty() : stepGradient.obstacle())
        .or(() -> denoisingGradient == null ? Optional.empty() : denoisingGradient.obstacle());
  }

  private void requireRatioOne(double deviation) {
    if (deviation > settings.ratioTolerance()) {
      throw new ReverieException(
          "trainer: before the first update of epoch %d the ratio of new to old likelihood should be 1, but is off by up to %s (allowed %s)"
              .formatted(epoch, deviation, settings.ratioTolerance()),
          "the model answers differently in training than in sampling: look for dropout, a changed"
              + " context or guidance, or a lower precision; batch sizes that round differently are"
              + " no reason beyond 1e-5");
    }
  }

  /** The KL to the base model after the epoch's updates, at a random decision of some samples. */
  private void measureDivergence(Rollout rollout, Diagnostics diagnostics) {
    int[] decisions = policy.process().decisions();
    if (decisions.length == 0) {
      return;
    }
    Rng rng = root.fork("divergence").fork(epoch);
    int[] order = rng.permutation(rollout.size());
    int[] samples = Arrays.copyOf(order, Math.min(order.length, settings.trainingBatch()));
    int[] steps = new int[samples.length];
    Arrays.setAll(steps, i -> decisions[rng.fork(1).below(i, decisions.length)]);
    try (Scope _ = Scope.open("divergence")) {
      ReversePolicy process = policy.process();
      Tensor before = rollout.before(samples, steps);
      Tensor timesteps = process.timesteps(before, steps);
      Tensor contexts = rollout.contexts(samples);
      Tensor now = policy.denoiser().predict(before, timesteps, contexts);
      Tensor base = policy.reference().predict(before, timesteps, contexts);
      diagnostics.diverged(
          process
              .divergence(process.step(before, now, steps), process.step(before, base, steps))
              .toDoubles());
    }
  }

  private EpochReport report(
      double[] earned, double[] advantage, Diagnostics diagnostics, Clock clock) {
    return new EpochReport(
        epoch,
        updates,
        rewardQueries,
        Statistics.of(earned),
        Statistics.of(advantage),
        diagnostics.loss(),
        diagnostics.approximateKl(),
        diagnostics.clipFraction(),
        diagnostics.smallestRatio(),
        diagnostics.largestRatio(),
        diagnostics.firstDeviation(),
        diagnostics.divergence(),
        diagnostics.effectiveSamples(),
        diagnostics.gradientNorm(),
        Clock.seconds(clock.started, clock.sampled),
        Clock.seconds(clock.sampled, clock.scored),
        Clock.seconds(clock.scored, System.nanoTime()));
  }

  /**
   * Writes the whole state of the run to one file, so that it can go on bit for bit: weights,
   * optimiser, average, remembered rewards and counters. Either all of it is written or the old
   * file stays.
   *
   * @throws ReverieException if an epoch was cut off, or the file cannot be written
   */
  public void save(Path file) {
    requireFinished("be saved");
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    policy.parameters().all().forEach(p -> tensors.put(WEIGHT + p.name(), p.value()));
    tensors.putAll(optimiser.state());
    if (ema != null) {
      ema.parameters().all().forEach(p -> tensors.put(AVERAGE + p.name(), p.value()));
    }
    Map<String, Long> counters = new LinkedHashMap<>();
    counters.put("epoch", (long) epoch);
    counters.put("updates", updates);
    counters.put("reward_queries", rewardQueries);
    counters.put("optimiser_steps", optimiser.steps());
    counters.put("average_updates", ema == null ? 0 : ema.updates());
    new TrainerState(fingerprint(), counters, advantages.state(), tensors).write(file);
  }

  /**
   * Goes on from a saved state, in a trainer built like the one that saved it.
   *
   * @throws ReverieException if the file is damaged or belongs to a run with other settings, which
   *     are named; nothing is changed then
   */
  public void resume(Path file) {
    try (Scope _ = Scope.open("resume")) {
      Map<String, Tensor> expected = new LinkedHashMap<>();
      policy.parameters().all().forEach(p -> expected.put(WEIGHT + p.name(), p.value()));
      expected.putAll(optimiser.state());
      if (ema != null) {
        ema.parameters().all().forEach(p -> expected.put(AVERAGE + p.name(), p.value()));
      }
      TrainerState state = TrainerState.read(file, policy.device(), fingerprint(), expected);
      advantages.restore(state.rewards());
      policy
          .parameters()
          .all()
          .forEach(p -> p.value().assign(state.tensors().get(WEIGHT + p.name())));
      optimiser.restore(state.tensors(), state.counters().get("optimiser_steps"));
      if (ema != null) {
        try (Parameters saved = ema.parameters().copy()) {
          saved.all().forEach(p -> p.value().assign(state.tensors().get(AVERAGE + p.name())));
          ema.restore(saved, state.counters().get("average_updates"));
        }
      }
      epoch = Math.toIntExact(state.counters().get("epoch"));
      updates = state.counters().get("updates");
      rewardQueries = state.counters().get("reward_queries");
      unfinished = false;
    }
  }

  /** Everything besides the weights on which the rest of the run depends. */
  private Map<String, String> fingerprint() {
    ReversePolicy process = policy.process();
    CRC32 texts = new CRC32();
    for (int i = 0; i < prompts.size(); i++) {
      texts.update((prompts.get(i).text() + "\n").getBytes(StandardCharsets.UTF_8));
    }
    Map<String, String> fingerprint = new LinkedHashMap<>();
    fingerprint.put("objective", objective.toString());
    fingerprint.put("advantages", advantages.toString());
    fingerprint.put("reward", rewardName);
    fingerprint.put("prompts", "%d with checksum %08x".formatted(prompts.size(), texts.getValue()));
    fingerprint.putAll(settings.described());
    fingerprint.put("timesteps", process.grid().toString());
    fingerprint.put("eta", Double.toString(process.eta()));
    fingerprint.put("log_probability", process.reduction().toString());
    fingerprint.put("trained", Integer.toString(policy.parameters().trainable().size()));
    return fingerprint;
  }

  private void requireFinished(String what) {
    if (unfinished) {
      throw new ReverieException(
          "trainer: epoch %d was cut off and cannot %s".formatted(epoch, what),
          "resume from the last saved state");
    }
  }

  /** Frees the optimiser's memory and ends the reward's thread. */
  @Override
  public void close() {
    rewards.close();
    sampling.close();
    optimisation.close();
    if (stepGradient != null) {
      stepGradient.close();
    }
    if (denoisingGradient != null) {
      denoisingGradient.close();
    }
    gradients.close();
    optimiser.close();
    if (ema != null) {
      ema.close();
    }
  }
}
