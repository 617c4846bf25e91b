// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.IntConsumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import reverie.rl.Policy;
import reverie.rl.objective.ChainObjective;
import reverie.rl.objective.DenoisingObjective;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.objective.StepObjective;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/**
 * How the gradient of one kind of objective is gathered, in backward passes small enough for
 * memory. There is one learner per kind, a file each: what it requires of policy and settings, and
 * which backward passes an update takes in which order. A {@link Fleet} carries them out.
 *
 * @param <E> the experience of an epoch
 */
interface Learner<E> extends Resumable, AutoCloseable {
  /** Samples, and what the run's advantages made of their rewards. */
  record Scored(Samples samples, double[] advantages) {}

  /**
   * Begins an epoch.
   *
   * @param trained gets of every backward pass how many items it had
   */
  void begin(E experience, Diagnostics diagnostics, IntConsumer trained);

  /** Draws samples with the weights that should draw them; those that are trained by default. */
  default <T> T drawing(Supplier<T> body) {
    return body.get();
  }

  /** Samples of the epoch. */
  int samples();

  /** Items (decisions or denoising losses) that are differentiated per sample and pass. */
  int itemsPerSample();

  /** So many samples in a row belong together and must come to the same update. */
  default int groupSize() {
    return 1;
  }

  /**
   * Sets the gradient to that of the objective's mean over some samples.
   *
   * @param shards numbers of samples of the epoch, those of each shard
   * @param rng for this update
   */
  void differentiate(int[][] shards, Rng rng);

  /** Ends the epoch once its updates are made: learns what else is learnt, and forgets the rest. */
  void finishEpoch(int epoch);

  /** Why a pass of its own cannot be captured; empty if all can, or were not made yet. */
  default Optional<String> captureFailure() {
    return Optional.empty();
  }

  @Override
  default void close() {}

  /**
   * The learner of an objective.
   *
   * @throws ReverieException if policy, objective and settings do not fit together
   */
  static Learner<Scored> of(
      Policy policy, RolloutObjective objective, TrainerSettings settings, Fleet fleet) {
    if (settings.klWeight() > 0) {
      policy.requireReference(
          "trainer: klWeight is " + settings.klWeight() + " but the policy has no reference model");
    }
    if (settings.offline() && !(objective instanceof StepObjective)) {
      policy.requireReference(
          "trainer: the run is offline, but the policy has no reference model to draw samples");
    }
    return switch (objective) {
      case StepObjective steps -> new StepLearner(policy, steps, settings, fleet);
      case ChainObjective chains -> new ChainLearner(policy, chains, settings, fleet);
      case DenoisingObjective denoising -> new DenoisingLearner(policy, denoising, settings, fleet);
    };
  }

  /** Refuses settings that would tear the samples of a prompt apart. */
  static void requireWholeGroups(String objective, TrainerSettings settings) {
    if (settings.samplesPerPrompt() < 2) {
      throw new ReverieException(
          objective + ": compares samples of one prompt, but each prompt gets 1",
          "set samplesPerPrompt to 2 or more");
    }
    int parts = settings.updatesPerEpoch() * settings.shards();
    if (settings.promptsPerEpoch() % parts != 0) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "%s: the %d prompts of an epoch do not divide into %d updates%s, and their samples"
                  + " belong together",
              objective,
              settings.promptsPerEpoch(),
              settings.updatesPerEpoch(),
              settings.shards() == 1 ? "" : " of " + settings.shards() + " shards"),
          "let the number of updates, times that of the shards, divide that of the prompts");
    }
  }

  /** Refuses a KL weight where the objective has nothing that it could be added to. */
  static void requireNoKl(String objective, TrainerSettings settings, String hint) {
    if (settings.klWeight() > 0) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "trainer: klWeight is %s but %s looks at no decisions of the chain",
              settings.klWeight(),
              objective),
          hint);
    }
  }

  /** At most {@code size} of the samples at a time, in their order. */
  static List<int[]> batches(int[] samples, int size) {
    return IntStream.iterate(0, from -> from < samples.length, from -> from + size)
        .mapToObj(from -> Arrays.copyOfRange(samples, from, Math.min(from + size, samples.length)))
        .toList();
  }

  /** Ends the epoch if the thread was interrupted; between any two backward passes. */
  static void checkInterrupted() {
    if (Thread.currentThread().isInterrupted()) {
      throw new CancellationException("training was interrupted in the middle of an epoch");
    }
  }
}
