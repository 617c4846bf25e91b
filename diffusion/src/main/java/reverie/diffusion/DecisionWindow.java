// SPDX-License-Identifier: Apache-2.0
package reverie.diffusion;

import reverie.tensor.ReverieException;
import reverie.tensor.Rng;

/**
 * Which steps of a chain decide in an epoch; the others follow the differential equation, so that
 * only {@code width} steps have to be trained.
 */
@FunctionalInterface
public interface DecisionWindow {
  /** The first step that decides in an epoch, of a chain of this many. */
  int first(long epoch, int steps);

  /** How many steps decide. */
  default int width() {
    return 1;
  }

  /**
   * A window at a random place in the first half of the chain, another in every epoch
   * (Flow-GRPO-Fast, width 2 or 3).
   */
  static DecisionWindow random(int width, Rng rng) {
    return of(
        width, (epoch, steps) -> rng.fork(epoch).below(0, Math.max(1, steps / 2 - width + 1)));
  }

  /**
   * A window that moves from noise to data by one step every so many epochs and begins again at the
   * end (MixGRPO: width 4, every 25).
   */
  static DecisionWindow progressive(int width, int every) {
    if (every < 1) {
      throw new ReverieException(
          "decision window: expected to move every 1 or more epochs, got " + every);
    }
    return of(width, (epoch, steps) -> (int) (epoch / every % (steps - width)));
  }

  private static DecisionWindow of(int width, DecisionWindow first) {
    if (width < 1) {
      throw new ReverieException(
          "decision window: expected a width of at least one step, got " + width);
    }
    return new DecisionWindow() {
      @Override
      public int first(long epoch, int steps) {
        return first.first(epoch, steps);
      }

      @Override
      public int width() {
        return width;
      }
    };
  }

  /** The policy of an epoch. */
  default ReversePolicy of(ReversePolicy policy, long epoch) {
    if (width() >= policy.steps()) {
      throw new ReverieException(
          "decision window: expected a width below the "
              + policy.steps()
              + " steps of the chain, got "
              + width(),
          "choose a smaller width, or sample with more steps");
    }
    int from = first(epoch, policy.steps());
    return policy.deciding(i -> i >= from && i < from + width());
  }
}
