// SPDX-License-Identifier: Apache-2.0
package reverie.rl.learn;

import reverie.diffusion.DecisionWindow;
import reverie.diffusion.ReversePolicy;
import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/**
 * Where chance enters the chains of an epoch: everywhere, or in a few steps only, so that only
 * these have to be trained; the others follow the differential equation.
 *
 * @param kind where these steps lie
 * @param width how many there are
 * @param every epochs after which a progressive window moves by a step
 */
public record Window(Kind kind, int width, int every) {
  /** Chance in every step. */
  public static final Window NONE = new Window(Kind.NONE, 2, 25);

  /** Where they lie. */
  public enum Kind {
    /** In every step. */
    NONE,
    /** Somewhere in the first half, elsewhere in every epoch (Flow-GRPO-Fast). */
    RANDOM,
    /** First at the noise, then step by step towards the data (MixGRPO). */
    PROGRESSIVE
  }

  /** Checks the ranges. */
  public Window {
    if (width < 1 || every < 1) {
      throw new ReverieException(
          "window: expected a width of 1 step or more and to move every 1 or more epochs, got "
              + width
              + " and "
              + every);
    }
  }

  /** The chain of an epoch. */
  ReversePolicy of(ReversePolicy process, Rng rng, int epoch) {
    return switch (kind) {
      case NONE -> process;
      case RANDOM -> DecisionWindow.random(width, rng).of(process, epoch);
      case PROGRESSIVE -> DecisionWindow.progressive(width, every).of(process, epoch);
    };
  }
}
