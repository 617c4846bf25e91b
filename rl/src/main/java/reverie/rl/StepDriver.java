// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import reverie.autograd.Tape;
import reverie.autograd.nn.Parameter;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.ReversePolicy;
import reverie.rl.objective.StepObjective;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The gradient of a {@link StepObjective}: one backward pass per micro-batch of samples and
 * position in the chain, accumulated over all steps before the optimiser moves, as the reference
 * does. Each pass is a scope, so memory does not depend on the number of steps. Every sample visits
 * the steps in an order of its own; with a fraction below 1, only the first of them.
 */
final class StepDriver implements Driver {
  private final Policy policy;
  private final StepObjective objective;
  private final TrainerSettings settings;
  private final Rollout rollout;
  private final double[] advantages;
  private final Diagnostics diagnostics;
  private final IntConsumer progress;
  private final List<Tensor> roots;
  private final int[] decisions;
  private final int trained;

  StepDriver(
      Policy policy,
      StepObjective objective,
      TrainerSettings settings,
      Rollout rollout,
      double[] advantages,
      Diagnostics diagnostics,
      IntConsumer progress) {
    this.policy = policy;
    this.objective = objective;
    this.settings = settings;
    this.rollout = rollout;
    this.advantages = advantages;
    this.diagnostics = diagnostics;
    this.progress = progress;
    roots = policy.parameters().trainable().stream().map(Parameter::value).toList();
    decisions = policy.process().requireDecisions(objective.name());
    trained = Math.max(1, (int) Math.round(decisions.length * settings.stepFraction()));
  }

  @Override
  public int itemsPerSample() {
    return trained;
  }

  @Override
  public void accumulate(int[] samples, Rng rng, GradientAccumulator gradients) {
    int[][] order = new int[samples.length][];
    Arrays.setAll(order, i -> rng.fork(samples[i]).permutation(decisions.length));
    for (int from = 0; from < samples.length; from += settings.trainingBatch()) {
      int to = Math.min(from + settings.trainingBatch(), samples.length);
      int[] batch = Arrays.copyOfRange(samples, from, to);
      for (int position = 0; position < trained; position++) {
        Driver.checkInterrupted();
        int[] steps = new int[batch.length];
        for (int i = 0; i < steps.length; i++) {
          steps[i] = decisions[order[from + i][position]];
        }
        try (Scope _ = Scope.open("decisions")) {
          differentiate(batch, steps, samples.length * trained, gradients);
        }
        progress.accept(batch.length);
      }
    }
  }

  private void differentiate(int[] batch, int[] steps, int total, GradientAccumulator gradients) {
    Device device = policy.device();
    ReversePolicy process = policy.process();
    Tensor before = rollout.before(batch, steps);
    Tensor after = rollout.after(batch, steps);
    Tensor timesteps = process.timesteps(before, steps);
    Tensor contexts = rollout.contexts(batch);
    double[] old = new double[batch.length];
    double[] advantage = new double[batch.length];
    for (int i = 0; i < batch.length; i++) {
      old[i] = rollout.logProb(batch[i], steps[i]);
      advantage[i] = advantages[batch[i]];
    }
    Tensor oldLogProb = device.tensor(old, old.length);
    Tensor advantageTensor = device.tensor(advantage, advantage.length);
    boolean anchored = settings.klWeight() > 0;
    ReversePolicy.Step reference =
        anchored
            ? process.step(before, policy.reference().predict(before, timesteps, contexts), steps)
            : null;
    List<Tensor> seen = new ArrayList<>();
    Tape.Result result =
        Tape.run(
            roots,
            () -> {
              Tensor output = policy.denoiser().predict(before, timesteps, contexts);
              ReversePolicy.Step step = process.step(before, output, steps);
              Tensor logProb = process.logProb(after, step);
              seen.add(logProb);
              Tensor loss = objective.loss(logProb, oldLogProb, advantageTensor);
              if (anchored) {
                Tensor divergence = process.divergence(step, reference);
                seen.add(divergence);
                loss = loss.add(divergence.mul(settings.klWeight()));
              }
              return loss.sum().mul(1.0 / total);
            });
    gradients.add(result);
    diagnostics.lost(result.loss().item());
    diagnostics.decided(seen.getFirst().toDoubles(), old, objective.clipRange());
    if (anchored) {
      diagnostics.diverged(seen.getLast().toDoubles());
    }
  }
}
