// SPDX-License-Identifier: Apache-2.0
package reverie.rl;

import java.util.concurrent.CancellationException;
import reverie.tensor.Rng;

/**
 * How the gradient of one kind of objective is gathered, in backward passes small enough for
 * memory. Made anew for each epoch.
 */
interface Driver {
  /**
   * Adds the gradient of the objective's mean over these samples.
   *
   * @param samples numbers of samples of the experience
   * @param rng for this update
   */
  void accumulate(int[] samples, Rng rng);

  /** Samples of the epoch's experience. */
  int samples();

  /** Backward passes' worth of items (decisions or denoising losses) per sample and pass. */
  int itemsPerSample();

  /** So many samples in a row belong together and must come to the same update. */
  default int groupSize() {
    return 1;
  }

  /** Ends the epoch if the thread was interrupted; between any two backward passes. */
  static void checkInterrupted() {
    if (Thread.currentThread().isInterrupted()) {
      throw new CancellationException("training was interrupted in the middle of an epoch");
    }
  }
}
