// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntConsumer;
import reverie.autograd.optim.GradientAccumulator;
import reverie.rl.objective.PreferenceObjective;
import reverie.rl.preference.Preference;
import reverie.rl.preference.PreferenceDataset;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;
import reverie.tensor.Tensor;

/**
 * Experience of others: pairs of images that were compared before. Every pair comes once before any
 * comes again, in an order that depends on the seed.
 */
final class PreferenceSource implements Source {
  private final Policy policy;
  private final PreferenceDataset preferences;
  private final TrainerSettings settings;
  private final PreferenceGradient gradient;
  private final Rng root;
  private List<Preference> pairs;
  private PreferenceDriver driver;

  PreferenceSource(
      Policy policy,
      PreferenceObjective objective,
      PreferenceDataset preferences,
      TrainerSettings settings,
      GradientAccumulator gradients) {
    if (policy.reference() == null) {
      throw new ReverieException(
          "trainer: " + objective.name() + " needs a reference model, the policy has none",
          "give the policy a frozen copy of the model, or its LoRA switched off");
    }
    if (settings.klWeight() > 0) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "trainer: klWeight is %s but %s looks at no decisions of the chain",
              settings.klWeight(),
              objective.name()),
          "set klWeight to 0; its beta keeps the model near the reference");
    }
    this.policy = policy;
    this.preferences = preferences;
    this.settings = settings;
    gradient = new PreferenceGradient(policy, objective, gradients);
    root = Rng.of(settings.seed());
  }

  @Override
  public void gather(int epoch, Diagnostics diagnostics) {
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
  public Driver driver(int epoch, Diagnostics diagnostics, IntConsumer trained) {
    driver = new PreferenceDriver(policy, gradient, settings, pairs, diagnostics, trained);
    return driver;
  }

  @Override
  public void conclude(int epoch, Diagnostics diagnostics) {
    Rng rng = root.fork("divergence").fork(epoch);
    Rng noise = rng.fork("noise");
    new DistanceToBase((samples, steps) -> driver.before(samples, steps, noise), driver::contexts)
        .measure(policy, pairs.size(), settings.trainingBatch(), rng, diagnostics);
    driver = null;
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
  public Map<String, Long> counters() {
    return Map.of();
  }

  @Override
  public Map<String, double[]> remembered() {
    return Map.of();
  }

  @Override
  public Map<String, Tensor> tensors() {
    return Map.of();
  }

  @Override
  public void restore(TrainerState state) {
    // Which pairs come next follows from the epoch.
  }

  @Override
  public List<Optional<String>> obstacles() {
    return List.of(gradient.captureFailure());
  }

  @Override
  public void close() {
    gradient.close();
  }
}
