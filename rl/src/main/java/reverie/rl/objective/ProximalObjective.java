// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.EnumSet;
import java.util.Set;
import reverie.tensor.Tensor;

/**
 * An objective of the forward process that compares with the model that drew the samples, and stays
 * near the base model by {@code λ·‖v−v_r‖²}.
 */
interface ProximalObjective extends DenoisingObjective {
  /** λ; 0 for no base model. */
  double baseWeight();

  @Override
  default Set<Model> compared() {
    return baseWeight() > 0 ? EnumSet.of(Model.OLD, Model.BASE) : EnumSet.of(Model.OLD);
  }

  /** The loss and the distance to the base model. */
  default Tensor nearBase(Denoised d, Tensor loss) {
    return baseWeight() == 0
        ? loss
        : loss.add(Denoised.distance(d.output(), d.base()).mul(baseWeight()));
  }

  /** Checks the ranges that these objectives have in common. */
  static void check(String name, double beta, double advantageLimit, double baseWeight, int draws) {
    Checks.positive(name, "beta", beta);
    Checks.positive(name, "advantage_limit", advantageLimit);
    Checks.notNegative(name, "base_weight", baseWeight);
    Checks.draws(name, draws);
  }
}
