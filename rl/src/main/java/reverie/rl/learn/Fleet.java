// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.io.Serializable;
import java.util.Arrays;
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
   * Images and what they earn.
   *
   * @param images {@code [n, h, w, c]} as the policy decodes them, about −1 to 1
   * @param rewards of each
   */
  record Evaluated(float[] images, double[] rewards) implements Serializable {
    /** All in a row. */
    public static Evaluated joined(List<Evaluated> parts) {
      float[] images = new float[parts.stream().mapToInt(part -> part.images.length).sum()];
      int at = 0;
      for (Evaluated part : parts) {
        System.arraycopy(part.images, 0, images, at, part.images.length);
        at += part.images.length;
      }
      return new Evaluated(
          images, parts.stream().flatMapToDouble(part -> Arrays.stream(part.rewards)).toArray());
    }
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

  /**
   * Draws images to measure a model by, and has them scored; nobody learns from them, and the
   * samples stay.
   *
   * @param drawing one image for each prompt
   * @param drawn gets how many are drawn
   */
  Evaluated evaluate(Under model, Drawing drawing, IntConsumer drawn);

  /** Forgets the samples. */
  void forget();

  /** Why something cannot be captured; empty if all can, or nothing ran yet. */
  Optional<String> captureFailure();

  @Override
  void close();
}
