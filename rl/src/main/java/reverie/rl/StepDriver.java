// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.Arrays;
import java.util.function.IntConsumer;
import reverie.rl.objective.StepObjective;
import reverie.tensor.Rng;
import reverie.tensor.Scope;

/**
 * The gradient of a {@link StepObjective}: one backward pass per micro-batch of samples and
 * position in the chain, accumulated over all steps before the optimizer moves, as the reference
 * does. Each pass is a scope, so memory does not depend on the number of steps. Every sample visits
 * the steps in an order of its own; with a fraction below 1, only the first of them.
 */
final class StepDriver implements Driver {
  private final Policy policy;
  private final StepGradient gradient;
  private final double clipRange;
  private final TrainerSettings settings;
  private final Rollout rollout;
  private final double[] advantages;
  private final double[][] values;
  private final Diagnostics diagnostics;
  private final IntConsumer progress;
  private final int[] decisions;
  private final int trained;

  /**
   * The driver of an epoch.
   *
   * @param values what is taken off a sample's advantage at each step; null for nothing
   */
  StepDriver(
      Policy policy,
      StepObjective objective,
      StepGradient gradient,
      TrainerSettings settings,
      Rollout rollout,
      double[] advantages,
      double[][] values,
      Diagnostics diagnostics,
      IntConsumer progress) {
    this.policy = policy;
    this.gradient = gradient;
    this.settings = settings;
    this.rollout = rollout;
    this.advantages = advantages;
    this.values = values;
    this.diagnostics = diagnostics;
    this.progress = progress;
    clipRange = objective.clipRange();
    decisions = policy.process().requireDecisions(objective.name());
    trained = Math.max(1, (int) Math.round(decisions.length * settings.stepFraction()));
  }

  @Override
  public int samples() {
    return rollout.size();
  }

  @Override
  public int itemsPerSample() {
    return trained;
  }

  @Override
  public void accumulate(int[] samples, Rng rng) {
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
          differentiate(batch, steps, samples.length * trained);
        }
        progress.accept(batch.length);
      }
    }
  }

  private void differentiate(int[] batch, int[] steps, int total) {
    double[] old = new double[batch.length];
    double[] advantage = new double[batch.length];
    for (int i = 0; i < batch.length; i++) {
      old[i] = rollout.logProb(batch[i], steps[i]);
      double expected = values == null ? 0 : values[batch[i]][steps[i]];
      advantage[i] = advantages[batch[i]] - expected;
    }
    StepGradient.Outcome outcome =
        gradient.add(
            StepGradient.Decisions.of(policy, rollout, batch, steps, old, advantage), 1.0 / total);
    diagnostics.lost(outcome.loss().item());
    diagnostics.decided(outcome.logProb().toDoubles(), old, clipRange);
    if (outcome.divergence() != null) {
      diagnostics.diverged(outcome.divergence().toDoubles());
    }
  }
}
