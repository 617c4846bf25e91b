// SPDX-License-Identifier: Apache-2.0
package reverie.rl.objective;

import java.util.EnumSet;
import java.util.Set;
import reverie.tensor.Tensor;

/**
 * DGPO, direct group preference optimisation (Luo et al. 2025, eq. 12 and 14): {@link DiffusionDpo}
 * of the good samples of a prompt against its bad ones, all at the same timestep and noise. With
 * {@code e = mean (v−u)²} and G samples a prompt
 *
 * <pre>{@code
 * stopped sigmoid(Σ_group A·β·(e − e_r)/G) · A · e
 * }</pre>
 *
 * @param beta of the preference; 100 in the public code
 * @param advantageLimit A is clipped to ± this, 5 there
 * @param draws (timestep, noise) pairs per sample and update
 */
public record DirectGroupPreference(double beta, double advantageLimit, int draws)
    implements DenoisingObjective {
  /** Checks the ranges. */
  public DirectGroupPreference {
    Checks.positive("dgpo", "beta", beta);
    Checks.positive("dgpo", "advantage_limit", advantageLimit);
    Checks.draws("dgpo", draws);
  }

  /** The values of the public code, 4 draws. */
  public DirectGroupPreference() {
    this(100, 5, 4);
  }

  @Override
  public String name() {
    return "dgpo";
  }

  @Override
  public Set<Model> compared() {
    return EnumSet.of(Model.BASE);
  }

  @Override
  public boolean couples() {
    return true;
  }

  @Override
  public Tensor coupling(Denoised d) {
    return d.error(d.output()).sub(d.error(d.base())).mul(advantage(d)).mul(beta);
  }

  @Override
  public Tensor loss(Denoised d) {
    return d.group().sigmoid().mul(advantage(d)).mul(d.error(d.output()));
  }

  private Tensor advantage(Denoised d) {
    return d.weight().clamp(-advantageLimit, advantageLimit);
  }
}
