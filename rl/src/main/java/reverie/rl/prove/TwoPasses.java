// SPDX-License-Identifier: Apache-2.0
package reverie.rl.prove;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import reverie.autograd.Tape;
import reverie.diffusion.Denoiser;
import reverie.diffusion.ReversePolicy;
import reverie.rl.Policy;
import reverie.rl.advantage.RawAdvantages;
import reverie.rl.learn.Rollout;
import reverie.rl.learn.Trainer;
import reverie.rl.learn.TrainerSettings;
import reverie.rl.objective.ChainObjective.Chains;
import reverie.rl.objective.Prdp;
import reverie.rl.prompt.Prompt;
import reverie.rl.prompt.PromptSource;
import reverie.rl.reward.RewardRunner;
import reverie.tensor.Device;
import reverie.tensor.Ops;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The gradient of PRDP that the trainer gathers one step at a time, against that of one graph over
 * all steps of the same chains; reached and exact are their norms.
 */
final class TwoPasses implements Proof {
  private static final int CHAINS = 16;
  private static final double[] BIASES = {.1, -.1, .05, 0, -.05, .1, .1, -.1, .005, -.002};
  private static final Prdp OBJECTIVE = new Prdp(5, 0.5, Prdp.Time.MEAN);

  @Override
  public String name() {
    return "the gradient in two passes is that of one graph";
  }

  @Override
  public Result run() {
    TrainerSettings settings =
        TrainerSettings.defaults()
            .with(it -> {
              it.promptsPerEpoch(1);
              it.samplesPerPrompt(CHAINS);
              it.samplingBatch(CHAINS);
              it.trainingBatch(5);
              it.updatesPerEpoch(1);
            });
    try (var gaussian = new GaussianPolicy(Device.reference())) {
      gaussian.bias(BIASES);
      double exact = oneGraph(gaussian, settings);
      try (Trainer trainer =
          new Trainer(
              gaussian.policy(),
              OBJECTIVE,
              new RawAdvantages(),
              PromptSource.of("x"),
              GaussianPolicy.SAMPLE,
              settings)) {
        return Result.of(OBJECTIVE.name(), trainer.epoch().gradientNorm(), exact, 1e-12);
      }
    }
  }

  private static double oneGraph(GaussianPolicy gaussian, TrainerSettings settings) {
    Policy policy = gaussian.policy();
    // All chance is addressed: these are the chains that the trainer's first epoch draws.
    Rng rng = Rng.of(settings.seed()).fork("rollout").fork(0);
    List<Prompt> prompts = Collections.nCopies(CHAINS, new Prompt("x"));
    List<RewardRunner.Pending> scores = new ArrayList<>();
    try (Scope _ = Scope.open("one graph");
        var scorer = new RewardRunner(GaussianPolicy.SAMPLE, settings.rewardTimeout())) {
      Rollout rollout =
          Rollout.draw(policy, prompts, rng, CHAINS, batch -> scores.add(scorer.submit(batch)));
      double[] rewards = scores.getFirst().await();
      Tensor old = logProbs(policy, policy.denoiser(), rollout);
      Tensor reference = logProbs(policy, policy.reference(), rollout);
      var chains = new Chains(old, reference, rewards, new int[CHAINS]);
      Tensor root = gaussian.biases().value();
      Tape.Result result =
          Tape.run(
              List.of(root),
              () -> OBJECTIVE.loss(logProbs(policy, policy.denoiser(), rollout), chains));
      return result.gradient(root).square().sum().sqrt().item();
    }
  }

  private static Tensor logProbs(Policy policy, Denoiser denoiser, Rollout rollout) {
    ReversePolicy process = policy.process();
    int[] samples = IntStream.range(0, CHAINS).toArray();
    Tensor[] columns = new Tensor[process.steps()];
    for (int t = 0; t < columns.length; t++) {
      int[] steps = new int[CHAINS];
      Arrays.fill(steps, t);
      Tensor before = rollout.before(samples, steps);
      Tensor output = denoiser.predict(before, process.timesteps(before, steps), null);
      columns[t] =
          process
              .logProb(rollout.after(samples, steps), process.step(before, output, steps))
              .reshape(CHAINS, 1);
    }
    return Ops.concat(1, columns);
  }
}
