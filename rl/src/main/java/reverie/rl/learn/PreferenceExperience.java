// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;
import reverie.autograd.optim.GradientAccumulator;
import reverie.rl.Policy;
import reverie.rl.objective.PreferenceObjective;
import reverie.rl.preference.Preference;
import reverie.rl.preference.PreferenceDataset;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/**
 * Pairs of images that were compared before. Every pair comes once before any comes again, in an
 * order that depends on the seed.
 */
final class PreferenceExperience implements Experience {
  private final Policy policy;
  private final PreferenceDataset preferences;
  private final TrainerSettings settings;
  private final PreferenceLearner learner;
  private final DistanceToBase distance;
  private final Rng root;
  private List<Preference> pairs;

  PreferenceExperience(
      Policy policy,
      PreferenceObjective objective,
      PreferenceDataset preferences,
      TrainerSettings settings,
      GradientAccumulator gradients) {
    this.policy = policy;
    this.preferences = preferences;
    this.settings = settings;
    learner = new PreferenceLearner(policy, objective, settings, gradients);
    distance = new DistanceToBase(policy);
    root = Rng.of(settings.seed());
  }

  @Override
  public void collect(int epoch, Diagnostics diagnostics) {
    Rng order = root.fork("preferences");
    int size = preferences.size();
    int count = settings.samplesPerEpoch();
    pairs = new ArrayList<>(count);
    long round = -1;
    int[] shuffled = {};
    for (long place = (long) epoch * count; pairs.size() < count; place++) {
      if (place / size != round) {
        round = place / size;
        shuffled = order.fork(round).permutation(size);
      }
      pairs.add(checked(preferences.get(shuffled[(int) (place % size)])));
    }
    diagnostics.sampled();
  }

  private Preference checked(Preference pair) {
    int elements = policy.height() * policy.width() * policy.channels();
    if (pair.chosen().length != elements || pair.rejected().length != elements) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "preferences: expected images of %d×%d×%d = %d values, got %d and %d for \"%s\"",
              policy.height(),
              policy.width(),
              policy.channels(),
              elements,
              pair.chosen().length,
              pair.rejected().length,
              pair.prompt()),
          "resize the images to what the model draws");
    }
    return pair;
  }

  @Override
  public Learner<?> begin(int epoch, Diagnostics diagnostics, IntConsumer trained) {
    learner.begin(pairs, diagnostics, trained);
    return learner;
  }

  @Override
  public void finishEpoch(int epoch, Diagnostics diagnostics) {
    Rng rng = root.fork("divergence").fork(epoch);
    Rng noise = rng.fork("noise");
    distance.measure(
        pairs.size(),
        settings.trainingBatch(),
        rng,
        (samples, steps) -> learner.before(samples, steps, noise),
        learner::contexts,
        diagnostics);
    learner.finishEpoch(epoch);
    pairs = null;
  }

  @Override
  public long rewardQueries() {
    return 0;
  }

  @Override
  public Map<String, String> fingerprint() {
    return Map.of("preferences", preferences.identity());
  }

  @Override
  public List<Optional<String>> captureFailures() {
    return List.of(learner.captureFailure(), distance.captureFailure());
  }

  @Override
  public void close() {
    distance.close();
    learner.close();
  }
}
