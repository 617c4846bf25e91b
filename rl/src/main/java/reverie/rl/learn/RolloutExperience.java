// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.IntConsumer;
import java.util.zip.CRC32;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.ReversePolicy;
import reverie.diffusion.SamplingStep;
import reverie.rl.Policy;
import reverie.rl.advantage.Advantages;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardBatch;
import reverie.rl.reward.RewardRunner;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/** Samples that the policy draws for prompts, scored by a reward. */
final class RolloutExperience implements Experience {
  private static final String QUERIES = "reward_queries";

  private static final String COLLECTED = "collected_rewards";
  private static final String REMEMBERED = "rewards.";

  private final Policy policy;
  private final Advantages advantages;
  private final PromptSource prompts;
  private final TrainerSettings settings;
  private final TrainerListener listener;
  private final String rewardName;
  private final RewardRunner rewards;
  private final Rng root;
  private final SamplingStep sampling;
  private final Learner<Learner.Scored> learner;
  private final Scope collection = Scope.detached("samples collected once");
  private Rollout rollout;
  private double[] collected;
  private long rewardQueries;

  RolloutExperience(
      Policy policy,
      RolloutObjective objective,
      Advantages advantages,
      PromptSource prompts,
      Reward reward,
      TrainerSettings settings,
      TrainerListener listener,
      GradientAccumulator gradients) {
    objective.require(advantages);
    learner = Learner.of(policy, objective, settings, gradients);
    this.policy = policy;
    this.advantages = advantages;
    this.prompts = prompts;
    this.settings = settings;
    this.listener = listener;
    rewardName = reward.name();
    rewards = new RewardRunner(reward, settings.rewardTimeout());
    root = Rng.of(settings.seed());
    sampling = Rollout.step(policy, settings.offline() ? policy.reference() : policy.denoiser());
  }

  @Override
  public void collect(int epoch, Diagnostics diagnostics) {
    if (!settings.offline()) {
      rollout = draw(epoch, epoch, diagnostics);
    } else if (rollout == null) {
      rollout = collected == null ? draw(0, epoch, diagnostics) : redraw(epoch, diagnostics);
      rollout.moveTo(collection);
      collected = rollout.rewards();
    }
  }

  /**
   * The samples that were collected before the run was resumed, with the rewards that they got
   * then.
   */
  private Rollout redraw(int epoch, Diagnostics diagnostics) {
    int[] at = {0};
    Reward known =
        Reward.named(
            rewardName, batch -> Arrays.copyOfRange(collected, at[0], at[0] += batch.size()));
    try (var again = new RewardRunner(known, settings.rewardTimeout())) {
      return draw(0, epoch, again, diagnostics);
    }
  }

  private Rollout draw(int address, int epoch, Diagnostics diagnostics) {
    return draw(address, epoch, rewards, diagnostics);
  }

  /**
   * The samples of an epoch.
   *
   * @param address of all their chance
   */
  private Rollout draw(int address, int epoch, RewardRunner scorer, Diagnostics diagnostics) {
    List<Prompt> drawn =
        prompts.draw(root.fork("prompts"), address, settings.promptsPerEpoch()).stream()
            .flatMap(prompt -> Collections.nCopies(settings.samplesPerPrompt(), prompt).stream())
            .toList();
    IntConsumer sampled =
        done -> {
          diagnostics.sampled();
          listener.sampled(epoch, done, drawn.size());
        };
    Rollout samples =
        learner.drawing(() ->
            Rollout.draw(
                policy,
                sampling,
                drawn,
                settings.sharedStart() ? settings.samplesPerPrompt() : 1,
                root.fork("rollout").fork(address),
                settings.samplingBatch(),
                scorer,
                sampled));
    diagnostics.scored();
    return samples;
  }

  @Override
  public Learner<?> begin(int epoch, Diagnostics diagnostics, IntConsumer trained) {
    double[] scores = rollout.rewards();
    if (epoch == 0 || !settings.offline()) {
      rewardQueries += scores.length;
      report(epoch, scores);
    }
    double[] gains = advantages.of(rollout.texts(), scores);
    diagnostics.addRewards(scores, gains);
    learner.begin(new Learner.Scored(rollout, gains), diagnostics, trained);
    return learner;
  }

  private void report(int epoch, double[] scores) {
    int from = 0;
    for (RewardBatch batch : rollout.batches()) {
      listener.scored(epoch, batch, Arrays.copyOfRange(scores, from, from + batch.size()));
      from += batch.size();
    }
  }

  @Override
  public void finishEpoch(int epoch, Diagnostics diagnostics) {
    learner.finishEpoch(epoch);
    if (!diagnostics.hasKl()) {
      new DistanceToBase(rollout::before, rollout::contexts)
          .measure(
              policy,
              rollout.size(),
              settings.trainingBatch(),
              root.fork("divergence").fork(epoch),
              diagnostics);
    }
    if (!settings.offline()) {
      rollout = null;
    }
  }

  @Override
  public long rewardQueries() {
    return rewardQueries;
  }

  @Override
  public Map<String, String> fingerprint() {
    ReversePolicy process = policy.process();
    CRC32 texts = new CRC32();
    for (int i = 0; i < prompts.size(); i++) {
      texts.update((prompts.get(i).text() + "\n").getBytes(StandardCharsets.UTF_8));
    }
    Map<String, String> fingerprint = new LinkedHashMap<>();
    fingerprint.put("advantages", advantages.toString());
    fingerprint.put("reward", rewardName);
    fingerprint.put(
        "prompts",
        String.format(Locale.ROOT, "%d with checksum %08x", prompts.size(), texts.getValue()));
    fingerprint.put("timesteps", process.grid().toString());
    fingerprint.put("eta", Double.toString(process.eta()));
    fingerprint.put("log_probability", process.reduction().toString());
    return fingerprint;
  }

  @Override
  public Map<String, Long> counters() {
    Map<String, Long> counters = new LinkedHashMap<>(learner.counters());
    counters.put(QUERIES, rewardQueries);
    return counters;
  }

  @Override
  public Map<String, double[]> numbers() {
    Map<String, double[]> numbers = new TreeMap<>();
    advantages.state().forEach((prompt, values) -> numbers.put(REMEMBERED + prompt, values));
    if (collected != null) {
      numbers.put(COLLECTED, collected);
    }
    return numbers;
  }

  @Override
  public Map<String, Tensor> tensors() {
    return learner.tensors();
  }

  @Override
  public void restore(TrainerState state) {
    Map<String, double[]> remembered = new TreeMap<>();
    state
        .numbers()
        .forEach((name, values) -> {
          if (name.startsWith(REMEMBERED)) {
            remembered.put(name.substring(REMEMBERED.length()), values);
          }
        });
    collected = state.numbers().get(COLLECTED);
    advantages.restore(remembered);
    learner.restore(state);
    rewardQueries = state.counters().get(QUERIES);
  }

  @Override
  public List<Optional<String>> captureFailures() {
    return List.of(sampling.captureFailure(), learner.captureFailure());
  }

  @Override
  public void close() {
    rewards.close();
    sampling.close();
    learner.close();
    collection.close();
  }
}
