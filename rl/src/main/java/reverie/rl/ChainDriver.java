// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import reverie.autograd.Tape;
import reverie.rl.objective.ChainObjective;
import reverie.rl.objective.ChainObjective.Chains;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The gradient of a {@link ChainObjective} in two passes, exact and with memory that does not
 * depend on the number of steps:
 *
 * <ol>
 *   <li>without gradients all lp[b,t] of the update's samples; from this small matrix, in float64,
 *       the loss L and the coefficients {@code c[b,t] = ∂L/∂lp[b,t]};
 *   <li>step by step, micro-batch by micro-batch, the gradient of {@code Σ c[b,t] lp[b,t]}, that is
 *       the score function estimator's with {@code -c} for advantages.
 * </ol>
 *
 * The reference scores a rollout once, at its beginning, or drew it itself if the samples were
 * collected offline. Before an epoch's first update the weights are those at its beginning, so the
 * first pass is spared: lp is lp_old, which the second pass confirms.
 */
final class ChainDriver implements Driver {
  private final Policy policy;
  private final ChainObjective objective;
  private final ChainPasses passes;
  private final TrainerSettings settings;
  private final Rollout rollout;
  private final Diagnostics diagnostics;
  private final IntConsumer progress;
  private final int[] decisions;
  private final double[][] old;
  private final double[][] reference;
  private boolean moved;

  ChainDriver(
      Policy policy,
      ChainObjective objective,
      ChainPasses passes,
      TrainerSettings settings,
      Rollout rollout,
      Diagnostics diagnostics,
      IntConsumer progress) {
    this.policy = policy;
    this.objective = objective;
    this.passes = passes;
    this.settings = settings;
    this.rollout = rollout;
    this.diagnostics = diagnostics;
    this.progress = progress;
    decisions = policy.process().requireDecisions(objective.name());
    int[] all = IntStream.range(0, rollout.size()).toArray();
    double[][] drawn = IntStream.of(all).mapToObj(this::drawn).toArray(double[][]::new);
    old = settings.offline() ? passes.now().of(rollout, all) : drawn;
    reference = settings.offline() ? drawn : passes.reference().of(rollout, all);
  }

  private double[] drawn(int sample) {
    return IntStream.of(decisions).mapToDouble(step -> rollout.logProb(sample, step)).toArray();
  }

  @Override
  public int samples() {
    return rollout.size();
  }

  @Override
  public int itemsPerSample() {
    return decisions.length;
  }

  @Override
  public int groupSize() {
    return settings.samplesPerPrompt();
  }

  @Override
  public void accumulate(int[] samples, Rng rng) {
    double[][] now = moved ? passes.now().of(rollout, samples) : of(old, samples);
    noteOrder(samples, now);
    double[][] coefficients = coefficients(samples, now);
    for (int t = 0; t < decisions.length; t++) {
      for (int from = 0; from < samples.length; from += settings.trainingBatch()) {
        Driver.checkInterrupted();
        int to = Math.min(from + settings.trainingBatch(), samples.length);
        try (Scope _ = Scope.open("decisions")) {
          differentiate(samples, from, to, t, coefficients);
        }
        progress.accept(to - from);
      }
    }
    if (moved) {
      for (int i = 0; i < samples.length; i++) {
        for (int t = 0; t < decisions.length; t++) {
          decided(samples[i], t, now[i][t]);
        }
      }
    }
    moved = true;
  }

  /** The loss on the matrix of log-probabilities, and its gradient by each. */
  private double[][] coefficients(int[] samples, double[][] now) {
    double[] rewards = rollout.rewards();
    try (Scope _ = Scope.open("chains")) {
      Tensor logProb = matrix(now);
      var chains =
          new Chains(
              matrix(of(old, samples)),
              matrix(of(reference, samples)),
              IntStream.of(samples).mapToDouble(sample -> rewards[sample]).toArray(),
              IntStream.of(samples).map(sample -> sample / groupSize()).toArray());
      Tape.Result result = Tape.run(List.of(logProb), () -> objective.loss(logProb, chains));
      diagnostics.lost(result.loss().item());
      double[] flat = result.gradient(logProb).toDoubles();
      int columns = decisions.length;
      return IntStream.range(0, samples.length)
          .mapToObj(i -> Arrays.copyOfRange(flat, i * columns, (i + 1) * columns))
          .toArray(double[][]::new);
    }
  }

  private void differentiate(int[] samples, int from, int to, int t, double[][] coefficients) {
    int[] batch = Arrays.copyOfRange(samples, from, to);
    int[] steps = new int[batch.length];
    Arrays.fill(steps, decisions[t]);
    // A sum over decisions, which the step's gradient takes for a mean.
    double total = (double) samples.length * decisions.length;
    double[] advantage = new double[batch.length];
    double[] before = new double[batch.length];
    for (int i = 0; i < batch.length; i++) {
      advantage[i] = -coefficients[from + i][t] * total;
      before[i] = old[batch[i]][t];
    }
    StepGradient.Outcome outcome =
        passes
            .gradient()
            .add(
                StepGradient.Decisions.of(policy, rollout, batch, steps, before, advantage),
                1 / total);
    if (!moved) {
      double[] logProb = outcome.logProb().toDoubles();
      for (int i = 0; i < batch.length; i++) {
        decided(batch[i], t, logProb[i]);
      }
    }
    if (outcome.divergence() != null) {
      double[] divergence = outcome.divergence().toDoubles();
      diagnostics.diverged(divergence);
      diagnostics.lost(settings.klWeight() * Arrays.stream(divergence).sum() / total);
    }
  }

  /** How many pairs of a prompt's chains have their log-ratios ordered as their rewards. */
  private void noteOrder(int[] samples, double[][] now) {
    double[] rewards = rollout.rewards();
    double[] gained = new double[samples.length];
    Arrays.setAll(
        gained, i -> Arrays.stream(now[i]).sum() - Arrays.stream(reference[samples[i]]).sum());
    DoubleStream.Builder right = DoubleStream.builder();
    for (int i = 0; i < samples.length; i++) {
      for (int j = 0; j < samples.length; j++) {
        boolean same = samples[i] / groupSize() == samples[j] / groupSize();
        if (same && rewards[samples[i]] > rewards[samples[j]]) {
          right.add(0.5 + 0.5 * Math.signum(gained[i] - gained[j]));
        }
      }
    }
    double[] all = right.build().toArray();
    if (all.length > 0) {
      diagnostics.note("implicit_accuracy", all);
    }
  }

  private void decided(int sample, int t, double now) {
    double before = old[sample][t];
    diagnostics.decided(now, before, objective.clips(now, before, reference[sample][t]));
  }

  private static double[][] of(double[][] rows, int... samples) {
    return IntStream.of(samples).mapToObj(sample -> rows[sample]).toArray(double[][]::new);
  }

  private static Tensor matrix(double[][] rows) {
    double[] flat = Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
    return Device.reference().tensor(flat, rows.length, rows[0].length);
  }
}
