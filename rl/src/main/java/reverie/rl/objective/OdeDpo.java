// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.Optional;
import reverie.tensor.Tensor;

/**
 * DPO (Rafailov et al. 2023, eq. 7) on the exact log-likelihoods of the probability flow: {@code
 * -log sigmoid(β [(log p_θ - log p_ref)(x_w) - (log p_θ - log p_ref)(x_l)])}. The KL that β weighs
 * is that of finished images, not of chains as in {@link Ppod}; the reviewers of PPOD asked for it.
 *
 * @param beta weight of the KL between the distributions of images, in units of true likelihood:
 *     rewards are divided by it
 * @param steps of the flow, four evaluations of the model and their gradients each
 * @param probes random vectors for the divergence; 0 for the exact one, which takes a pass for
 *     every element of an image
 */
public record OdeDpo(double beta, int steps, int probes) implements PreferenceObjective {
  /** Checks the ranges. */
  public OdeDpo {
    Checks.positive("ode_dpo", "beta", beta);
    Checks.require("ode_dpo", "steps", steps, steps >= 1, "of at least 1");
    Checks.require("ode_dpo", "probes", probes, probes >= 0, "of 0 or more");
  }

  /** A β of 1, 10 steps, one probe. */
  public OdeDpo() {
    this(1, 10, 1);
  }

  @Override
  public String name() {
    return "ode_dpo";
  }

  @Override
  public Optional<Likelihood> likelihood() {
    return Optional.of(new Likelihood(steps, probes));
  }

  @Override
  public Tensor loss(Tensor chosen, Tensor rejected) {
    return chosen.sub(rejected).mul(-beta).logSigmoid().neg();
  }
}
