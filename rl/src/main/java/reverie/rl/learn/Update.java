// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.io.Serializable;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import reverie.rl.objective.DenoisingObjective.Model;
import reverie.tensor.Rng;

/**
 * What is differentiated for one step of the optimizer. A learner decides everything in it; whoever
 * carries it out only computes.
 *
 * @param shards for each shard, its batches in their order
 * @param factor of the sum of all losses
 * @param rng from which a row draws noise, if it needs any, at (sample, step)
 * @param lagged earlier weights that the loss compares with
 */
public record Update(
    List<List<Batch>> shards, double factor, Rng rng, Map<Model, LaggedWeights> lagged)
    implements Serializable {
  /** An update that looks at no weights but those that are trained. */
  Update(List<List<Batch>> shards, double factor, Rng rng) {
    this(shards, factor, rng, Map.of());
  }

  /**
   * Rows that are differentiated at once, one for each place in these arrays.
   *
   * @param samples numbers of samples of the epoch
   * @param steps of the chain, or the number of the draw for objectives that denoise
   * @param oldLogProb of each decision when it was made; null for objectives that denoise
   * @param weights advantages of decisions, or weights of denoising losses
   */
  public record Batch(int[] samples, int[] steps, double[] oldLogProb, double[] weights)
      implements Serializable {}

  /**
   * What came of a batch, besides its gradient.
   *
   * @param loss its share of the update's loss
   * @param logProb of each decision now; null for objectives that denoise
   * @param kl of each decision to the reference; null without a KL weight
   */
  public record Outcome(double loss, double[] logProb, double[] kl) implements Serializable {}

  /** Goes through batches and what came of them, in the order of the shards. */
  void forEach(List<Outcome> outcomes, BiConsumer<Batch, Outcome> body) {
    int next = 0;
    for (List<Batch> shard : shards) {
      for (Batch batch : shard) {
        body.accept(batch, outcomes.get(next++));
      }
    }
  }
}
