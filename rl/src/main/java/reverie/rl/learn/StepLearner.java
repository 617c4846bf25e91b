// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;
import java.util.function.IntUnaryOperator;
import reverie.rl.Policy;
import reverie.rl.objective.DenoisingObjective.Lag;
import reverie.rl.objective.DenoisingObjective.Model;
import reverie.rl.objective.StepObjective;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * Learns by a {@link StepObjective}: one backward pass per micro-batch of samples and position in
 * the chain, accumulated over all steps before the optimizer moves, as the reference implementation
 * does. Each pass is a scope, so memory does not depend on the number of steps. Every sample visits
 * the steps in an order of its own; with a fraction below 1, only the first of them.
 */
final class StepLearner implements Learner<Learner.Scored> {
  private final StepObjective objective;
  private final TrainerSettings settings;
  private final Fleet fleet;
  private final Optional<ValueBaseline> baseline;
  private final Optional<LaggedWeights> old;
  private Scored epoch;
  private int[] decisions;
  private int stepsPerSample;
  private double[][] values;
  private Diagnostics diagnostics;
  private IntConsumer trained;

  StepLearner(Policy policy, StepObjective objective, TrainerSettings settings, Fleet fleet) {
    if (settings.offline()) {
      throw new ReverieException(
          objective.name() + ": learns from samples of the policy itself, but the run is offline",
          "set offline to false, or learn by an objective that compares samples of a prompt");
    }
    this.objective = objective;
    this.settings = settings;
    policy.process().requireDecisions(objective.name());
    this.fleet = fleet;
    if (objective.guards() && !policy.process().schedule().isFlow()) {
      throw new ReverieException(
          objective.name() + ": is made for the steps of a flow, but the model is none",
          "use grpo");
    }
    old =
        objective.guards()
            ? Optional.of(new LaggedWeights("old", policy.parameters(), Lag.NONE))
            : Optional.empty();
    baseline = objective.baseline().map(value -> new ValueBaseline(policy, value, settings.seed()));
  }

  @Override
  public void begin(Scored experience, Diagnostics diagnostics, IntConsumer progress) {
    epoch = experience;
    decisions = experience.samples().decisions();
    stepsPerSample = Math.max(1, (int) Math.round(decisions.length * settings.stepFraction()));
    this.diagnostics = diagnostics;
    trained = progress;
    values = baseline.map(value -> value.values(fleet, samples())).orElse(null);
  }

  @Override
  public int samples() {
    return epoch.samples().size();
  }

  @Override
  public int itemsPerSample() {
    return stepsPerSample;
  }

  @Override
  public void differentiate(int[][] shards, Rng rng) {
    double total = Arrays.stream(shards).mapToInt(shard -> shard.length * stepsPerSample).sum();
    var update =
        new Update(
            Arrays.stream(shards).map(s -> batches(s, rng)).toList(),
            1 / total,
            rng,
            old.map(weights -> Map.of(Model.OLD, weights)).orElse(Map.of()));
    update.forEach(
        fleet.differentiate(update, trained),
        (batch, outcome) -> {
          diagnostics.addLoss(outcome.loss());
          diagnostics.addDecisions(outcome.logProb(), batch.oldLogProb(), objective.clipRange());
          if (outcome.kl() != null) {
            diagnostics.addKl(outcome.kl());
          }
        });
  }

  private List<Update.Batch> batches(int[] samples, Rng rng) {
    List<Update.Batch> batches = new ArrayList<>();
    for (int[] batch : Learner.batches(samples, settings.trainingBatch())) {
      int[][] order = new int[batch.length][];
      Arrays.setAll(order, i -> rng.fork(batch[i]).permutation(decisions.length));
      for (int place = 0; place < stepsPerSample; place++) {
        int position = place;
        batches.add(batch(batch, i -> decisions[order[i][position]]));
      }
    }
    return batches;
  }

  private Update.Batch batch(int[] samples, IntUnaryOperator step) {
    int[] steps = new int[samples.length];
    double[] old = new double[samples.length];
    double[] advantages = new double[samples.length];
    for (int i = 0; i < samples.length; i++) {
      int sample = samples[i];
      steps[i] = step.applyAsInt(i);
      old[i] = epoch.samples().logProbs()[sample][steps[i]];
      double baseline = values == null ? 0 : values[sample][steps[i]];
      advantages[i] = epoch.advantages()[sample] - baseline;
    }
    return new Update.Batch(samples, steps, old, advantages);
  }

  @Override
  public void finishEpoch(int number) {
    old.ifPresent(weights -> weights.follow(0));
    baseline.ifPresent(value -> value.fit(fleet, epoch.advantages(), number, diagnostics));
    epoch = null;
    values = null;
  }

  @Override
  public Map<String, Tensor> tensors() {
    return baseline.map(Resumable::tensors).orElse(Map.of());
  }

  @Override
  public Map<String, Long> counters() {
    return baseline.map(Resumable::counters).orElse(Map.of());
  }

  @Override
  public void restore(TrainerState state) {
    old.ifPresent(weights -> weights.restore(state));
    baseline.ifPresent(value -> value.restore(state));
  }

  @Override
  public Optional<String> captureFailure() {
    return baseline.flatMap(ValueBaseline::captureFailure);
  }

  @Override
  public void close() {
    old.ifPresent(LaggedWeights::close);
    baseline.ifPresent(ValueBaseline::close);
  }
}
