// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

/** An objective that learns from samples of the model's own and what a reward said of them. */
public sealed interface RolloutObjective extends Objective
    permits StepObjective, DenoisingObjective {}
