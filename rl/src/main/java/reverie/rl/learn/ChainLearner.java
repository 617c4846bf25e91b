// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import reverie.autograd.Tape;
import reverie.rl.Policy;
import reverie.rl.objective.ChainObjective;
import reverie.rl.objective.ChainObjective.Chains;
import reverie.tensor.Device;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

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
  private final ChainObjective objective;
  private final TrainerSettings settings;
  private final Fleet fleet;
  private Samples samples;
  private int[] decisions;
  private double[][] oldLogProbs;
  private double[][] referenceLogProbs;
  private boolean moved;
  private Diagnostics diagnostics;
  private IntConsumer trained;

  ChainLearner(Policy policy, ChainObjective objective, TrainerSettings settings, Fleet fleet) {
    policy.process().requireDecisions(objective.name());
    requireFit(policy, objective.name(), settings);
    this.objective = objective;
    this.settings = settings;
    this.fleet = fleet;
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
  public void begin(Scored experience, Diagnostics diagnostics, IntConsumer progress) {
    samples = experience.samples();
    decisions = samples.decisions();
    this.diagnostics = diagnostics;
    trained = progress;
    moved = false;
    int each = samples.size() / settings.shards();
    int[][] all =
        IntStream.range(0, settings.shards())
            .mapToObj(shard -> IntStream.range(shard * each, (shard + 1) * each).toArray())
            .toArray(int[][]::new);
    double[][] drawn =
        Arrays.stream(samples.logProbs()).map(this::ofDecisions).toArray(double[][]::new);
    oldLogProbs = settings.offline() ? fleet.logProbs(Fleet.Under.CURRENT, all) : drawn;
    referenceLogProbs = settings.offline() ? drawn : fleet.logProbs(Fleet.Under.REFERENCE, all);
  }

  private double[] ofDecisions(double[] ofSteps) {
    return IntStream.of(decisions).mapToDouble(step -> ofSteps[step]).toArray();
  }

  @Override
  public int samples() {
    return samples.size();
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
  public void differentiate(int[][] shards, Rng rng) {
    int[] all = Arrays.stream(shards).flatMapToInt(Arrays::stream).toArray();
    double[][] logProbs =
        moved ? fleet.logProbs(Fleet.Under.CURRENT, shards) : rows(oldLogProbs, all);
    recordOrder(all, logProbs);
    double[][] coefficients = coefficients(all, logProbs);
    double total = (double) all.length * decisions.length;
    List<List<Update.Batch>> batches =
        Arrays.stream(shards).map(shard -> batches(shard, coefficients, total)).toList();
    var update = new Update(batches, 1 / total, rng);
    update.forEach(
        fleet.differentiate(update, trained), (batch, outcome) -> record(batch, outcome, total));
    if (moved) {
      for (int i = 0; i < all.length; i++) {
        for (int t = 0; t < decisions.length; t++) {
          addDecision(all[i], t, logProbs[i][t]);
        }
      }
    }
    moved = true;
  }

  /** The gradient of the loss by each log-probability; the row of a sample is that of the epoch. */
  private double[][] coefficients(int[] all, double[][] logProbs) {
    double[] rewards = samples.rewards();
    try (Scope _ = Scope.open("chains")) {
      Tensor logProb = matrix(logProbs);
      var chains =
          new Chains(
              matrix(rows(oldLogProbs, all)),
              matrix(rows(referenceLogProbs, all)),
              IntStream.of(all).mapToDouble(sample -> rewards[sample]).toArray(),
              IntStream.of(all).map(sample -> sample / groupSize()).toArray());
      Tape.Result result = Tape.run(List.of(logProb), () -> objective.loss(logProb, chains));
      diagnostics.addLoss(result.loss().item());
      double[] flat = result.gradient(logProb).toDoubles();
      int columns = decisions.length;
      double[][] coefficients = new double[samples.size()][];
      for (int i = 0; i < all.length; i++) {
        coefficients[all[i]] = Arrays.copyOfRange(flat, i * columns, (i + 1) * columns);
      }
      return coefficients;
    }
  }

  /** The pass takes means over {@code total} decisions; the coefficients are those of a sum. */
  private List<Update.Batch> batches(int[] shard, double[][] coefficients, double total) {
    List<Update.Batch> batches = new ArrayList<>();
    for (int step = 0; step < decisions.length; step++) {
      int t = step;
      for (int[] batch : Learner.batches(shard, settings.trainingBatch())) {
        int[] steps = new int[batch.length];
        Arrays.fill(steps, decisions[t]);
        batches.add(
            new Update.Batch(
                batch,
                steps,
                IntStream.of(batch).mapToDouble(sample -> oldLogProbs[sample][t]).toArray(),
                IntStream.of(batch)
                    .mapToDouble(sample -> -coefficients[sample][t] * total)
                    .toArray()));
      }
    }
    return batches;
  }

  private void record(Update.Batch batch, Update.Outcome outcome, double total) {
    if (!moved) {
      int t = Arrays.binarySearch(decisions, batch.steps()[0]);
      for (int i = 0; i < batch.samples().length; i++) {
        addDecision(batch.samples()[i], t, outcome.logProb()[i]);
      }
    }
    if (outcome.kl() != null) {
      diagnostics.addKl(outcome.kl());
      diagnostics.addLoss(settings.klWeight() * Arrays.stream(outcome.kl()).sum() / total);
    }
  }

  /** Records how many pairs of a prompt's chains have their log-ratios ordered as their rewards. */
  private void recordOrder(int[] some, double[][] logProbs) {
    double[] rewards = samples.rewards();
    double[] ratios = new double[some.length];
    Arrays.setAll(
        ratios,
        i -> Arrays.stream(logProbs[i]).sum() - Arrays.stream(referenceLogProbs[some[i]]).sum());
    DoubleStream.Builder right = DoubleStream.builder();
    for (int i = 0; i < some.length; i++) {
      for (int j = 0; j < some.length; j++) {
        boolean same = some[i] / groupSize() == some[j] / groupSize();
        if (same && rewards[some[i]] > rewards[some[j]]) {
          right.add(0.5 + 0.5 * Math.signum(ratios[i] - ratios[j]));
        }
      }
    }
    double[] pairs = right.build().toArray();
    if (pairs.length > 0) {
      diagnostics.record("implicit_accuracy", pairs);
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
    samples = null;
    oldLogProbs = null;
    referenceLogProbs = null;
  }
}
