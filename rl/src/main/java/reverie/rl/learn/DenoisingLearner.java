// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import reverie.rl.Policy;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.DenoisingObjective.Model;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * Learns by a {@link DenoisingObjective}: finished samples are noised again, guidance included,
 * with fresh noise for every draw; the samples of a draw are one {@linkplain DenoisingPass pass}.
 */
final class DenoisingLearner implements Learner<Learner.Scored> {
  private static final String UPDATES = "denoising_updates";

  private final DenoisingObjective objective;
  private final TrainerSettings settings;
  private final Fleet fleet;
  private final Map<Model, LaggedWeights> lagged = new EnumMap<>(Model.class);
  private long updates;
  private double[] weights;
  private Diagnostics diagnostics;
  private IntConsumer trained;

  DenoisingLearner(
      Policy policy, DenoisingObjective objective, TrainerSettings settings, Fleet fleet) {
    String name = objective.name();
    Learner.requireNoKl(name, settings, "set klWeight to 0");
    if (objective.couples()) {
      Learner.requireWholeGroups(name, settings);
    }
    boolean comparesWithOld = objective.compared().contains(Model.OLD);
    if (settings.offline() && comparesWithOld) {
      throw new ReverieException(
          name + ": learns from samples of the model as it is, but the run is offline",
          "set offline to false, or learn by rwr");
    }
    if (objective.compared().contains(Model.BASE)) {
      policy.requireReference(name + ": the policy has no reference model to compare with");
    }
    this.objective = objective;
    this.settings = settings;
    this.fleet = fleet;
    if (comparesWithOld || objective.old().limit() > 0) {
      lagged.put(Model.OLD, new LaggedWeights("old", policy.parameters(), objective.old()));
    }
    if (objective.compared().contains(Model.ANCHOR)) {
      lagged.put(
          Model.ANCHOR, new LaggedWeights("anchor", policy.parameters(), objective.anchor()));
    }
  }

  @Override
  public <T> T drawing(Supplier<T> body) {
    return objective.old().limit() > 0 ? lagged.get(Model.OLD).during(body) : body.get();
  }

  @Override
  public void begin(Scored experience, Diagnostics diagnostics, IntConsumer progress) {
    this.diagnostics = diagnostics;
    trained = progress;
    Samples samples = experience.samples();
    weights =
        objective.weights(samples.texts(), samples.rewards(), experience.advantages().clone());
    if (objective.skipsWeightZero()) {
      diagnostics.weights(weights);
    }
  }

  @Override
  public int samples() {
    return weights.length;
  }

  @Override
  public int itemsPerSample() {
    return objective.draws();
  }

  @Override
  public int groupSize() {
    return objective.couples() ? settings.samplesPerPrompt() : 1;
  }

  @Override
  public void differentiate(int[][] shards, Rng rng) {
    int draws = objective.draws();
    int all = Arrays.stream(shards).mapToInt(shard -> shard.length).sum();
    int[][] counted =
        Arrays.stream(shards)
            .map(shard -> IntStream.of(shard).filter(this::counts).toArray())
            .toArray(int[][]::new);
    trained.accept((all - Arrays.stream(counted).mapToInt(shard -> shard.length).sum()) * draws);
    var update =
        new Update(
            Arrays.stream(counted).map(this::batches).toList(), 1.0 / (all * draws), rng, lagged);
    update.forEach(
        fleet.differentiate(update, trained), (_, outcome) -> diagnostics.addLoss(outcome.loss()));
    updates++;
  }

  private boolean counts(int sample) {
    return !objective.skipsWeightZero() || weights[sample] > 0;
  }

  private List<Update.Batch> batches(int... samples) {
    List<Update.Batch> batches = new ArrayList<>();
    double[] own = IntStream.of(samples).mapToDouble(sample -> weights[sample]).toArray();
    for (int draw = 0; draw < objective.draws(); draw++) {
      int[] draws = new int[samples.length];
      Arrays.fill(draws, draw);
      batches.add(new Update.Batch(samples, draws, null, own));
    }
    return batches;
  }

  @Override
  public void finishEpoch(int number) {
    weights = null;
    lagged.values().forEach(old -> old.follow(updates));
  }

  @Override
  public Map<String, Tensor> tensors() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    lagged.values().forEach(old -> tensors.putAll(old.tensors()));
    return tensors;
  }

  @Override
  public Map<String, Long> counters() {
    return Map.of(UPDATES, updates);
  }

  @Override
  public void restore(TrainerState state) {
    lagged.values().forEach(old -> old.restore(state));
    updates = state.counters().get(UPDATES);
  }

  @Override
  public void close() {
    lagged.values().forEach(LaggedWeights::close);
  }
}
