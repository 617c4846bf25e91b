// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import reverie.autograd.optim.GradientAccumulator;
import reverie.rl.Policy;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.Reward;
import reverie.rl.reward.RewardRunner;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/** Samples drawn for a test, with their latents, as one shard. */
record Drawn(Policy policy, Reward reward, Rollout rollout, Samples samples)
    implements ChainStates {

  /** One sample per prompt; tensors belong to the open scope. */
  static Drawn of(Policy policy, List<Prompt> prompts, Rng rng, int batch, Reward reward) {
    List<RewardRunner.Pending> scores = new ArrayList<>();
    try (var rewards = new RewardRunner(reward, Duration.ofSeconds(30))) {
      Rollout rollout =
          Rollout.draw(policy, prompts, rng, batch, images -> scores.add(rewards.submit(images)));
      double[] all = scores.stream().flatMapToDouble(s -> Arrays.stream(s.await())).toArray();
      return new Drawn(
          policy, reward, rollout, new Samples(prompts, rollout.logProbs(), all, List.of()));
    }
  }

  /** A fleet that has drawn them; they do not end with it. */
  LocalFleet fleet(
      RolloutObjective objective, TrainerSettings settings, GradientAccumulator gradients) {
    var fleet = new LocalFleet(new Fleet.Job(policy, objective, reward, settings, gradients));
    fleet.hold(rollout);
    return fleet;
  }

  double[] rewards() {
    return samples.rewards();
  }

  List<String> texts() {
    return samples.texts();
  }

  double logProb(int sample, int step) {
    return rollout.logProbs()[sample][step];
  }

  int size() {
    return rollout.size();
  }

  @Override
  public Tensor before(int[] at, int[] steps) {
    return rollout.before(at, steps);
  }

  Tensor after(int[] at, int[] steps) {
    return rollout.after(at, steps);
  }

  Tensor finished(int... at) {
    return rollout.finished(at);
  }

  @Override
  public Tensor contexts(int... at) {
    return rollout.contexts(at);
  }
}
