// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import reverie.rl.advantage.Advantages;
import reverie.rl.advantage.GroupAdvantages;
import reverie.tensor.ReverieException;
import reverie.tensor.Tensor;

/**
 * The GRPO form (Shao et al. 2024, eq. 3; Flow-GRPO, Liu et al. 2025; DanceGRPO, Xue et al. 2025):
 * {@link DdpoImportanceSampled} with advantages within groups of one prompt, and {@code + β KL(p_θ
 * ‖ p_ref)}, the exact KL of each Gaussian step. β is the run's KL weight; whose standard deviation
 * divides is set in {@link GroupAdvantages}.
 *
 * @param clipRange of the ratio of mean log-densities, 1e-4 in Flow-GRPO and DanceGRPO
 * @param advantageLimit advantages are clamped to ± this, 5 in both
 */
public record Grpo(double clipRange, double advantageLimit) implements StepObjective {
  /** Checks the ranges. */
  public Grpo {
    DdpoImportanceSampled.check("grpo", clipRange, advantageLimit);
  }

  /** The published values: 1e-4 and 5. */
  public Grpo() {
    this(1e-4, 5);
  }

  @Override
  public String name() {
    return "grpo";
  }

  @Override
  public void require(Advantages advantages) {
    if (!(advantages instanceof GroupAdvantages)) {
      throw new ReverieException(
          "grpo: expected advantages within groups of one prompt, got " + advantages.name(),
          "use group advantages, or ddpo_is if another baseline is meant");
    }
  }

  @Override
  public double usualKlWeight() {
    return 0.04;
  }

  @Override
  public Tensor loss(Tensor logProb, Tensor oldLogProb, Tensor advantage) {
    return new DdpoImportanceSampled(clipRange, advantageLimit)
        .loss(logProb, oldLogProb, advantage);
  }
}
