// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.lang.invoke.MethodHandles;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import reverie.autograd.Tape;
import reverie.autograd.optim.GradientAccumulator;
import reverie.diffusion.ChainPosition;
import reverie.diffusion.Denoiser;
import reverie.rl.Policy;
import reverie.rl.objective.ChainObjective;
import reverie.rl.objective.ChainObjective.Chains;
import reverie.rl.objective.DdpoScoreFunction;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;
import reverie.tensor.graph.MicroBatched;

/**
 * Learns by a {@link ChainObjective} in two passes, exactly and with memory that does not depend on
 * the number of steps:
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
final class ChainLearner implements Learner<Learner.Scored> {
  private final Policy policy;
  private final ChainObjective objective;
  private final TrainerSettings settings;
  private final Scoring now;
  private final Scoring reference;
  private final StepLearner.Pass pass;
  private final int[] decisions;
  private Rollout rollout;
  private double[][] oldLogProbs;
  private double[][] referenceLogProbs;
  private boolean moved;
  private Diagnostics diagnostics;
  private IntConsumer trained;

  ChainLearner(
      Policy policy,
      ChainObjective objective,
      TrainerSettings settings,
      GradientAccumulator gradients) {
    decisions = policy.process().requireDecisions(objective.name());
    requireFit(policy, objective.name(), settings);
    this.policy = policy;
    this.objective = objective;
    this.settings = settings;
    now = new Scoring(policy, policy.denoiser(), settings.trainingBatch());
    reference = new Scoring(policy, policy.reference(), settings.trainingBatch());
    pass = new StepLearner.Pass(policy, new DdpoScoreFunction(), settings.klWeight(), gradients);
  }

  private static void requireFit(Policy policy, String name, TrainerSettings settings) {
    policy.requireReference(name + ": the policy has no reference model to compare with");
    Learner.requireWholeGroups(name, settings);
    if (settings.stepFraction() < 1) {
      throw new ReverieException(
          name + ": looks at whole chains, but stepFraction is " + settings.stepFraction(),
          "set stepFraction to 1");
    }
  }

  @Override
  public void begin(Scored experience, Diagnostics told, IntConsumer progress) {
    rollout = experience.rollout();
    diagnostics = told;
    trained = progress;
    moved = false;
    int[] all = IntStream.range(0, rollout.size()).toArray();
    double[][] drawn = IntStream.of(all).mapToObj(this::whenDrawn).toArray(double[][]::new);
    oldLogProbs = settings.offline() ? now.of(rollout, all) : drawn;
    referenceLogProbs = settings.offline() ? drawn : reference.of(rollout, all);
  }

  private double[] whenDrawn(int sample) {
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
    double[][] logProbs = moved ? now.of(rollout, samples) : rows(oldLogProbs, samples);
    recordOrder(samples, logProbs);
    double[][] coefficients = coefficients(samples, logProbs);
    double total = (double) samples.length * decisions.length;
    for (int t = 0; t < decisions.length; t++) {
      int decision = t;
      Learner.inBatches(
          samples,
          settings.trainingBatch(),
          batch -> {
            try (Scope _ = Scope.open("decisions")) {
              differentiate(batch, decision, coefficients, total);
            }
            trained.accept(batch.length);
          });
    }
    if (moved) {
      for (int i = 0; i < samples.length; i++) {
        for (int t = 0; t < decisions.length; t++) {
          addDecision(samples[i], t, logProbs[i][t]);
        }
      }
    }
    moved = true;
  }

  /** The gradient of the loss by each log-probability; the row of a sample is that of the epoch. */
  private double[][] coefficients(int[] samples, double[][] logProbs) {
    double[] rewards = rollout.rewards();
    try (Scope _ = Scope.open("chains")) {
      Tensor logProb = matrix(logProbs);
      var chains =
          new Chains(
              matrix(rows(oldLogProbs, samples)),
              matrix(rows(referenceLogProbs, samples)),
              IntStream.of(samples).mapToDouble(sample -> rewards[sample]).toArray(),
              IntStream.of(samples).map(sample -> sample / groupSize()).toArray());
      Tape.Result result = Tape.run(List.of(logProb), () -> objective.loss(logProb, chains));
      diagnostics.addLoss(result.loss().item());
      double[] flat = result.gradient(logProb).toDoubles();
      int columns = decisions.length;
      double[][] coefficients = new double[rollout.size()][];
      for (int i = 0; i < samples.length; i++) {
        coefficients[samples[i]] = Arrays.copyOfRange(flat, i * columns, (i + 1) * columns);
      }
      return coefficients;
    }
  }

  /** The pass takes means over {@code total} decisions; the coefficients are those of a sum. */
  private void differentiate(int[] batch, int t, double[][] coefficients, double total) {
    int[] steps = new int[batch.length];
    Arrays.fill(steps, decisions[t]);
    double[] advantages = new double[batch.length];
    double[] old = new double[batch.length];
    for (int i = 0; i < batch.length; i++) {
      advantages[i] = -coefficients[batch[i]][t] * total;
      old[i] = oldLogProbs[batch[i]][t];
    }
    StepLearner.Pass.Outcome outcome =
        pass.add(
            StepLearner.Decisions.of(policy, rollout, batch, steps, old, advantages), 1 / total);
    if (!moved) {
      double[] logProb = outcome.logProb().toDoubles();
      for (int i = 0; i < batch.length; i++) {
        addDecision(batch[i], t, logProb[i]);
      }
    }
    if (outcome.kl() != null) {
      double[] kl = outcome.kl().toDoubles();
      diagnostics.addKl(kl);
      diagnostics.addLoss(settings.klWeight() * Arrays.stream(kl).sum() / total);
    }
  }

  /** Records how many pairs of a prompt's chains have their log-ratios ordered as their rewards. */
  private void recordOrder(int[] samples, double[][] logProbs) {
    double[] rewards = rollout.rewards();
    double[] ratios = new double[samples.length];
    Arrays.setAll(
        ratios,
        i -> Arrays.stream(logProbs[i]).sum() - Arrays.stream(referenceLogProbs[samples[i]]).sum());
    DoubleStream.Builder right = DoubleStream.builder();
    for (int i = 0; i < samples.length; i++) {
      for (int j = 0; j < samples.length; j++) {
        boolean same = samples[i] / groupSize() == samples[j] / groupSize();
        if (same && rewards[samples[i]] > rewards[samples[j]]) {
          right.add(0.5 + 0.5 * Math.signum(ratios[i] - ratios[j]));
        }
      }
    }
    double[] all = right.build().toArray();
    if (all.length > 0) {
      diagnostics.record("implicit_accuracy", all);
    }
  }

  private void addDecision(int sample, int t, double logProb) {
    double old = oldLogProbs[sample][t];
    diagnostics.addDecision(
        logProb, old, objective.clips(logProb, old, referenceLogProbs[sample][t]));
  }

  private static double[][] rows(double[][] matrix, int... samples) {
    return IntStream.of(samples).mapToObj(sample -> matrix[sample]).toArray(double[][]::new);
  }

  private static Tensor matrix(double[][] rows) {
    double[] flat = Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
    return Device.reference().tensor(flat, rows.length, rows[0].length);
  }

  @Override
  public void finishEpoch(int number) {
    rollout = null;
    oldLogProbs = null;
    referenceLogProbs = null;
  }

  @Override
  public Optional<String> captureFailure() {
    return pass.captureFailure().or(now.pass::captureFailure).or(reference.pass::captureFailure);
  }

  @Override
  public void close() {
    now.pass.close();
    reference.pass.close();
    pass.close();
  }

  /**
   * Log-probabilities of a rollout's decisions under a model, without gradients; captured at its
   * first use. It takes as much memory as one step, however long the chains.
   */
  private static final class Scoring {
    private final Policy policy;
    private final int batchSize;
    private final MicroBatched<Inputs, LogProb> pass;

    /** Latents around steps, the numbers of their {@link ChainPosition}, contexts or null. */
    private record Inputs(Tensor before, Tensor after, Tensor numbers, Tensor contexts) {}

    private record LogProb(Tensor values) {}

    Scoring(Policy policy, Denoiser denoiser, int batchSize) {
      this.policy = policy;
      this.batchSize = batchSize;
      pass =
          new MicroBatched<>(
              MethodHandles.lookup(),
              policy.device(),
              in -> {
                ChainPosition at = ChainPosition.of(in.numbers);
                Tensor output = denoiser.predict(in.before, at.timesteps(), in.contexts);
                return new LogProb(
                    policy
                        .process()
                        .logProb(in.after, policy.process().step(in.before, output, at)));
              });
    }

    /** One row per sample given, one column per decision of the chain. */
    double[][] of(Rollout rollout, int... samples) {
      int[] decisions = policy.process().decisions();
      double[][] columns = new double[decisions.length][];
      for (int t = 0; t < decisions.length; t++) {
        int step = decisions[t];
        DoubleStream.Builder column = DoubleStream.builder();
        Learner.inBatches(
            samples,
            batchSize,
            batch -> Arrays.stream(values(rollout, batch, step)).forEach(column::add));
        columns[t] = column.build().toArray();
      }
      return IntStream.range(0, samples.length)
          .mapToObj(i -> Arrays.stream(columns).mapToDouble(column -> column[i]).toArray())
          .toArray(double[][]::new);
    }

    private double[] values(Rollout rollout, int[] batch, int step) {
      int[] steps = new int[batch.length];
      Arrays.fill(steps, step);
      try (Scope _ = Scope.open("scoring")) {
        Tensor before = rollout.before(batch, steps);
        Inputs inputs =
            new Inputs(
                before,
                rollout.after(batch, steps),
                policy.process().position(before, steps).numbers(),
                rollout.contexts(batch));
        return pass.run(inputs).values.toDoubles();
      }
    }
  }
}
