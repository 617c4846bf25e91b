// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.List;

/**
 * An objective that trains on the finished samples like pretraining does, each weighted by what it
 * earned.
 */
public non-sealed interface DenoisingObjective extends RolloutObjective {
  /**
   * The weight of each sample in the mean of the denoising losses; samples of weight 0 cost
   * nothing.
   *
   * @param prompts the prompt of each sample of the epoch
   * @param rewards its reward
   */
  double[] weights(List<String> prompts, double[] rewards);

  /** How many (timestep, noise) pairs each sample is trained with per update. */
  int draws();
}
