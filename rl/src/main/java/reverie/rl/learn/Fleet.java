// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;
import reverie.autograd.optim.GradientAccumulator;
import reverie.rl.Policy;
import reverie.rl.objective.RolloutObjective;
import reverie.rl.reward.Reward;

/**
 * The machines of a run. They draw samples and keep their latents, and compute what learners ask
 * for. All decisions are the trainer's, and gradients are summed by shards: shard k of S has the
 * samples from {@code k n / S} on, is summed by itself, and shards are summed in a {@linkplain
 * reverie.autograd.optim.GradientTree fixed tree}. So the weights at the end are the same bits
 * whatever the number of threads and machines.
 */
public interface Fleet extends ChainStates, AutoCloseable {
  /**
   * What a fleet works on.
   *
   * @param policy whose weights, as they are at each call, are those to compute with
   * @param objective what is differentiated
   * @param reward what scores
   * @param settings of the run
   * @param gradients where sums of gradients go
   */
  record Job(
      Policy policy,
      RolloutObjective objective,
      Reward reward,
      TrainerSettings settings,
      GradientAccumulator gradients) {}

  /** Whose weights count. */
  enum Under {
    /** The model as it is now. */
    CURRENT,
    /** The model that it is compared with. */
    REFERENCE
  }

  /**
   * Draws samples, the present ones' successors, and has them scored.
   *
   * @param sampled gets how many are drawn
   */
  Samples draw(Drawing drawing, IntConsumer sampled);

  /**
   * Log-probabilities of decisions: one row per sample, one column per decision of the chain.
   *
   * @param shards samples of each shard
   */
  double[][] logProbs(Under model, int[]... shards);

  /**
   * Sets the job's gradients to those of an update.
   *
   * @param trained is told of every backward pass how many rows it had
   * @return what came of each batch, in the order of the shards
   */
  List<Update.Outcome> differentiate(Update update, IntConsumer trained);

  /** Forgets the samples. */
  void forget();

  /** Why something cannot be captured; empty if all can, or nothing ran yet. */
  Optional<String> captureFailure();

  @Override
  void close();
}
