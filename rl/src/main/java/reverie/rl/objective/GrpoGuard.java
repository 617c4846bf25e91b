// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import reverie.rl.advantage.Advantages;
import reverie.tensor.Tensor;

/**
 * GRPO-Guard (Wang et al. 2025, arXiv 2510.22319): {@link Grpo} for flows with ratios that mean the
 * same at every step. The logarithm of a ratio of mean log-densities is below 0 on average, by the
 * KL to the old policy, and its spread falls with the deviation s of the step; so that
 *
 * <pre>{@code
 * ln ρ = s·(lp − lp_old + ‖μ − μ_old‖²/(2s²))          E ln ρ = 0
 * }</pre>
 *
 * takes its place, and the loss of a step is divided by its length {@code −dt = σ − σ'}.
 *
 * @param clipRange of ρ
 * @param advantageLimit advantages are clamped to ± this
 */
public record GrpoGuard(double clipRange, double advantageLimit) implements StepObjective {
  /** Checks the ranges. */
  public GrpoGuard {
    DdpoImportanceSampled.check("grpo_guard", clipRange, advantageLimit);
  }

  /** A clip range of 1e-4 and a limit of 5, as for {@link Grpo}. */
  public GrpoGuard() {
    this(1e-4, 5);
  }

  @Override
  public String name() {
    return "grpo_guard";
  }

  @Override
  public void require(Advantages advantages) {
    new Grpo(clipRange, advantageLimit).require(advantages);
  }

  @Override
  public double usualKlWeight() {
    return 0.04;
  }

  @Override
  public boolean guards() {
    return true;
  }

  @Override
  public Tensor loss(Tensor logProb, Tensor oldLogProb, Tensor advantage) {
    return new DdpoImportanceSampled(clipRange, advantageLimit)
        .loss(logProb, oldLogProb, advantage);
  }
}
