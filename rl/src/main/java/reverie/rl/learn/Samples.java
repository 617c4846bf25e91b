// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import java.util.List;
import java.util.stream.IntStream;
import reverie.rl.prompt.Prompt;
import reverie.rl.reward.RewardBatch;

/**
 * All that an epoch's learning is decided by: its samples without their latents, which stay where
 * they were drawn.
 *
 * @param prompts one per sample
 * @param logProbs for each sample, log p of the decision of every step under the weights that drew
 *     it; NaN where nothing was decided
 * @param rewards what each sample earned
 * @param batches images as they were scored, in the order of the samples: all of them, or some from
 *     the first on
 */
public record Samples(
    List<Prompt> prompts, double[][] logProbs, double[] rewards, List<RewardBatch> batches) {

  /** How many samples there are. */
  public int size() {
    return prompts.size();
  }

  /** The text of each sample's prompt. */
  public List<String> texts() {
    return prompts.stream().map(Prompt::text).toList();
  }

  /** The steps that were decisions. */
  public int[] decisions() {
    return decided(logProbs);
  }

  /** The steps that have a log-probability. */
  static int[] decided(double[][] logProbs) {
    double[] first = logProbs[0];
    return IntStream.range(0, first.length).filter(step -> !Double.isNaN(first[step])).toArray();
  }
}
