// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import reverie.rl.reward.RewardBatch;

/** Hears how an epoch goes, on the trainer's thread: for progress bars, image grids and logs. */
public interface TrainerListener {
  /** A listener that does not care. */
  TrainerListener NONE = new TrainerListener() {};

  /** So many samples of the epoch are drawn. */
  default void sampled(int epoch, int done, int total) {}

  /**
   * A batch of samples and what each earned; called for every batch once all are scored, before any
   * update.
   */
  default void scored(int epoch, RewardBatch batch, double[] rewards) {}

  /** So many decisions (or denoising losses) of the epoch are differentiated. */
  default void trained(int epoch, int done, int total) {}

  /** The epoch is over; the state may be saved now. */
  default void finished(EpochReport report) {}
}
