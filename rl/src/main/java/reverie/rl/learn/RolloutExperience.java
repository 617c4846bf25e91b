// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.IntConsumer;
import reverie.diffusion.ReversePolicy;
import reverie.rl.Policy;
import reverie.rl.advantage.Advantages;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.RewardBatch;
import reverie.tensor.Rng;
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
  private final Rng root;
  private final Fleet fleet;
  private final Learner<Learner.Scored> learner;
  private final DistanceToBase distance;
  private Samples samples;
  private double[] collected;
  private long rewardQueries;

  RolloutExperience(
      Fleet.Job job,
      Advantages advantages,
      PromptSource prompts,
      TrainerListener listener,
      Function<Fleet.Job, Fleet> fleets) {
    job.objective().require(advantages);
    policy = job.policy();
    settings = job.settings();
    this.advantages = advantages;
    this.prompts = prompts;
    this.listener = listener;
    rewardName = job.reward().name();
    root = Rng.of(settings.seed());
    if ((policy.process().steps() + 1L) * settings.samplesPerEpoch() > Integer.MAX_VALUE) {
      throw new SettingException(
          "promptsPerEpoch",
          "so few that an epoch has at most 2147483647 states, a sample after a step each",
          settings.promptsPerEpoch());
    }
    // A window that does not fit is an error before the first epoch.
    settings.window().of(policy.process(), root.fork("window"), 0);
    fleet = fleets.apply(job);
    try {
      learner = Learner.of(policy, job.objective(), settings, fleet);
    } catch (RuntimeException e) {
      fleet.close();
      throw e;
    }
    distance = new DistanceToBase(policy);
  }

  @Override
  public void collect(int epoch, Diagnostics diagnostics) {
    if (!settings.offline()) {
      samples = draw(epoch, epoch, diagnostics);
    } else if (samples == null) {
      // A run that was resumed draws the same again, and remembers what they earned.
      samples = draw(0, epoch, diagnostics);
      collected = samples.rewards();
    }
  }

  /**
   * The samples of an epoch.
   *
   * @param address of all their chance
   */
  private Samples draw(int address, int epoch, Diagnostics diagnostics) {
    List<Prompt> drawn =
        prompts.draw(root.fork("prompts"), address, settings.promptsPerEpoch()).stream()
            .flatMap(prompt -> Collections.nCopies(settings.samplesPerPrompt(), prompt).stream())
            .toList();
    Drawing drawing =
        Drawing.of(
                drawn,
                settings.sharedStart() ? settings.samplesPerPrompt() : 1,
                root.fork("rollout").fork(address),
                collected)
            .deciding(
                settings.window().of(policy.process(), root.fork("window"), address).decisions());
    IntConsumer sampled =
        done -> {
          diagnostics.sampled();
          listener.sampled(epoch, done, drawn.size());
        };
    Samples all = learner.drawing(() -> fleet.draw(drawing, sampled));
    diagnostics.scored();
    return all;
  }

  @Override
  public Learner<?> begin(int epoch, Diagnostics diagnostics, IntConsumer trained) {
    double[] scores = samples.rewards();
    if (epoch == 0 || !settings.offline()) {
      rewardQueries += scores.length;
      report(epoch, scores);
    }
    double[] gains = advantages.of(samples.texts(), scores);
    diagnostics.addRewards(scores, gains);
    if (settings.window().kind() != Window.Kind.NONE) {
      int left = policy.process().decisions().length - samples.decisions().length;
      diagnostics.record("passes_saved", (double) left * samples.size() * settings.passes());
    }
    learner.begin(new Learner.Scored(samples, gains), diagnostics, trained);
    return learner;
  }

  private void report(int epoch, double[] scores) {
    int from = 0;
    for (RewardBatch batch : samples.batches()) {
      listener.scored(epoch, batch, Arrays.copyOfRange(scores, from, from + batch.size()));
      from += batch.size();
    }
  }

  @Override
  public void finishEpoch(int epoch, Diagnostics diagnostics) {
    learner.finishEpoch(epoch);
    if (!diagnostics.hasKl()) {
      distance.measure(
          samples.size(),
          settings.trainingBatch(),
          root.fork("divergence").fork(epoch),
          fleet::before,
          fleet::contexts,
          diagnostics);
    }
    if (!settings.offline()) {
      samples = null;
      fleet.forget();
    }
  }

  @Override
  public long rewardQueries() {
    return rewardQueries;
  }

  @Override
  public Map<String, String> fingerprint() {
    ReversePolicy process = policy.process();
    Map<String, String> fingerprint = new LinkedHashMap<>();
    fingerprint.put("advantages", advantages.toString());
    fingerprint.put("reward", rewardName);
    fingerprint.put("prompts", prompts.identity());
    fingerprint.put("timesteps", process.grid().toString());
    fingerprint.put("sampler", process.rule());
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
    return List.of(fleet.captureFailure(), learner.captureFailure(), distance.captureFailure());
  }

  @Override
  public void close() {
    distance.close();
    learner.close();
    fleet.close();
  }
}
