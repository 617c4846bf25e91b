// SPDX-License-Identifier: Apache-2.0
package reverie.autograd.optim;

import reverie.tensor.ReverieException;

/** A learning rate as a function of the number of steps already made. */
@FunctionalInterface
public interface LearningRate {
  /** The rate of the step that follows {@code step} earlier ones. */
  double at(long step);

  /** Always the same. */
  static LearningRate constant(double rate) {
    return _ -> rate;
  }

  /**
   * Half a cosine from {@code first} to {@code last} over {@code steps} steps, then {@code last}.
   */
  static LearningRate cosine(double first, double last, long steps) {
    if (steps < 1) {
      throw new ReverieException(
          "learning rate: expected a cosine of at least 1 step, got " + steps);
    }
    return step ->
        last + (first - last) * (1 + Math.cos(Math.PI * Math.min(step, steps) / steps)) / 2;
  }

  /**
   * This rate, reached in a straight line over the first {@code steps} steps: step i takes
   * (i+1)/steps of it, so that no step is wasted on a rate of zero.
   */
  default LearningRate warmedUp(long steps) {
    return step -> step + 1 < steps ? at(step) * (step + 1) / steps : at(step);
  }
}
