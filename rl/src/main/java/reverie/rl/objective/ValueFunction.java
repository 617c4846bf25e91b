// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Locale;
import reverie.tensor.ReverieException;

/**
 * How the value baseline V(x_t, t, c) is learnt: a small network that sees the latent and the mean
 * of the context's tokens, each hidden layer multiplied by a learned vector of the step. It
 * regresses on what the run's advantages make of rewards: on rewards themselves where those are
 * raw.
 *
 * @param width of the three hidden layers
 * @param learningRate of AdamW
 * @param updates regression steps per epoch
 * @param batch decisions in each
 */
public record ValueFunction(int width, double learningRate, int updates, int batch) {
  /** Checks the ranges. */
  public ValueFunction {
    if (width < 1
        || updates < 0
        || batch < 1
        || !(learningRate > 0 && Double.isFinite(learningRate))) {
      throw new ReverieException(
          String.format(
              Locale.ROOT,
              "value function: expected a width and batch of at least 1, updates of 0 or more and a positive learning rate, got %d, %d, %d, %s",
              width,
              batch,
              updates,
              learningRate));
    }
  }

  /** As in DPOK's public code: width 256, rate 1e-4, 5 updates with 256 decisions each. */
  public ValueFunction() {
    this(256, 1e-4, 5, 256);
  }
}
