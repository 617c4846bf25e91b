// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import reverie.diffusion.DenoisingLoss;
import reverie.rl.preference.Preference;
import reverie.tensor.Device;
import reverie.tensor.Rng;
import reverie.tensor.Scope;
import reverie.tensor.Tensor;

/**
 * The gradient of a {@link reverie.rl.objective.PreferenceObjective}: both images of a pair at the
 * same random timestep with the same fresh noise, guidance included.
 */
final class PreferenceDriver implements Driver {
  private final Policy policy;
  private final PreferenceGradient gradient;
  private final List<Preference> pairs;
  private final Contexts contexts;
  private final int batchSize;
  private final Diagnostics diagnostics;
  private final IntConsumer progress;
  private final DenoisingLoss denoising;

  PreferenceDriver(
      Policy policy,
      PreferenceGradient gradient,
      TrainerSettings settings,
      List<Preference> pairs,
      Diagnostics diagnostics,
      IntConsumer progress) {
    this.policy = policy;
    this.gradient = gradient;
    this.pairs = pairs;
    this.diagnostics = diagnostics;
    this.progress = progress;
    batchSize = settings.trainingBatch();
    contexts = new Contexts(policy, pairs.stream().map(Preference::prompt).toList());
    denoising =
        new DenoisingLoss(
            policy.process().schedule(), policy.prediction(), Double.POSITIVE_INFINITY);
  }

  @Override
  public int samples() {
    return pairs.size();
  }

  @Override
  public int itemsPerSample() {
    return 1;
  }

  @Override
  public void accumulate(int[] samples, Rng rng) {
    for (int from = 0; from < samples.length; from += batchSize) {
      Driver.checkInterrupted();
      int[] batch = Arrays.copyOfRange(samples, from, Math.min(from + batchSize, samples.length));
      try (Scope _ = Scope.open("preferences")) {
        differentiate(batch, rng, 1.0 / samples.length);
      }
      progress.accept(batch.length);
    }
  }

  /** The preferred images, noised to where these steps of the chain begin. */
  Tensor before(int[] samples, int[] steps, Rng rng) {
    Tensor images = images(samples, Preference::chosen);
    int[] timesteps = IntStream.of(steps).map(policy.process().grid()::timestep).toArray();
    Tensor noise = denoising.draw(images, rows(samples, rng)).noise();
    return policy.process().schedule().addNoise(images, noise, timesteps);
  }

  /** What the pairs were compared for, or null. */
  Tensor contexts(int... samples) {
    return contexts.of(samples);
  }

  private static Rng[] rows(int[] samples, Rng rng) {
    return IntStream.of(samples).mapToObj(rng::fork).toArray(Rng[]::new);
  }

  private void differentiate(int[] batch, Rng rng, double factor) {
    Tensor winners = images(batch, Preference::chosen);
    Tensor losers = images(batch, Preference::rejected);
    DenoisingLoss.Draw draw = denoising.draw(winners, rows(batch, rng));
    PreferenceGradient.Outcome outcome =
        gradient.add(
            denoising.question(winners, draw),
            denoising.question(losers, draw),
            contexts(batch),
            factor);
    diagnostics.lost(outcome.loss().item());
    note(diagnostics, outcome.chosen().toDoubles(), outcome.rejected().toDoubles());
  }

  /** How pairs are ordered by the excess of their images' losses over the reference's. */
  static void note(Diagnostics diagnostics, double[] won, double[] lost) {
    for (int i = 0; i < won.length; i++) {
      diagnostics.note("implicit_accuracy", won[i] < lost[i] ? 1 : won[i] > lost[i] ? 0 : 0.5);
    }
    diagnostics.note("excess_chosen", won);
    diagnostics.note("excess_rejected", lost);
  }

  private Tensor images(int[] samples, Function<Preference, float[]> which) {
    int elements = policy.height() * policy.width() * policy.channels();
    float[] all = new float[samples.length * elements];
    for (int i = 0; i < samples.length; i++) {
      System.arraycopy(which.apply(pairs.get(samples[i])), 0, all, i * elements, elements);
    }
    Device device = policy.device();
    return device.tensor(all, samples.length, policy.height(), policy.width(), policy.channels());
  }
}
