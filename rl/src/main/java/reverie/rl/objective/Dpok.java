// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Optional;
import reverie.tensor.Tensor;

/**
 * DPOK (Fan et al. 2023): maximises {@code E[r] - β Σ_t KL(p_θ(x_t'|x_t,c) ‖ p_ref)} by the clipped
 * surrogate of {@link DdpoImportanceSampled} with the advantage {@code A = r - V(x_t, t, c)}, where
 * V is learnt, and the exact KL of each Gaussian step. β is the run's KL weight.
 *
 * @param clipRange of the ratio of mean log-densities, 1e-4 in the public code
 * @param advantageLimit advantages are clamped to ± this; the public code does not clamp
 * @param value how V is learnt
 */
public record Dpok(double clipRange, double advantageLimit, ValueFunction value)
    implements StepObjective {
  /** Checks the ranges. */
  public Dpok {
    DdpoImportanceSampled.check("dpok", clipRange, advantageLimit);
  }

  /** A clip range of 1e-4, a limit of 5, and V as in the public code. */
  public Dpok() {
    this(1e-4, 5, new ValueFunction());
  }

  @Override
  public String name() {
    return "dpok";
  }

  @Override
  public Optional<ValueFunction> baseline() {
    return Optional.of(value);
  }

  @Override
  public double usualKlWeight() {
    return 0.01;
  }

  @Override
  public Tensor loss(Tensor logProb, Tensor oldLogProb, Tensor advantage) {
    return new DdpoImportanceSampled(clipRange, advantageLimit)
        .loss(logProb, oldLogProb, advantage);
  }
}
