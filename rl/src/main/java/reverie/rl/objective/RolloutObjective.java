// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import reverie.rl.advantage.Advantages;

/** An objective that learns from samples of the model's own and what a reward said of them. */
public sealed interface RolloutObjective extends Objective
    permits StepObjective, ChainObjective, DenoisingObjective {
  /**
   * Refuses advantages that it cannot do with.
   *
   * @throws reverie.tensor.ReverieException saying which it expects
   */
  default void require(Advantages advantages) {}
}
